"""What a program sees of flags, urgent bytes and buffers, whichever way Windows goes."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.simulation.behaviour import FlagsOut, InlineIosb, NoUrgent, Partial, WaitAll
from tests.simulation.sockets import SO_OOBINLINE, SOL_SOCKET
from trio_wsarecv import MsgFlag, wsarecv
from trio_wsarecv._winsock.codes import NtStatus, WinsockError

from .test_stream import winerror

if TYPE_CHECKING:
    from tests.simulation import Simulation
    from tests.simulation.sockets import SocketOverSimulation

OOB, PEEK, WAITALL, PARTIAL = (
    MsgFlag.MSG_OOB,
    MsgFlag.MSG_PEEK,
    MsgFlag.MSG_WAITALL,
    MsgFlag.MSG_PARTIAL,
)


@pytest.mark.parametrize("waiting", [True, False])
@pytest.mark.parametrize("status", [NtStatus.SUCCESS, NtStatus.RECEIVE_EXPEDITED])
@pytest.mark.parametrize("flags_out", FlagsOut)
@pytest.mark.behaviour("49", "Wine afd.c test_recv (todo_wine)")
async def test_an_urgent_byte_is_told_by_the_flags(
    simulation: Simulation,
    made_here: bool,
    flags_out: FlagsOut,
    status: NtStatus,
    waiting: bool,
) -> None:
    simulation.behave(flags_out=flags_out, urgent_status=status)
    sock = simulation.stream(made_here=made_here)
    buffer = bytearray(5)
    if waiting:
        sock.peer.send_urgent(b"!")
    call = await simulation.begin(wsarecv, sock, [buffer], OOB)
    if not waiting:
        sock.peer.send_urgent(b"!")
    await simulation.step()
    assert call.value == (1, OOB)
    assert buffer == b"!" + bytes(4)


@pytest.mark.behaviour("50", "Wine afd.c test_recv")
@pytest.mark.behaviour("51", "Wine sock.c test_fionread_siocatmark, test_oob_events (todo_wine)")
async def test_urgent_bytes_come_one_by_one_and_apart_from_the_others(
    simulation: Simulation, made_here: bool
) -> None:
    simulation.deliver_automatically()
    sock = simulation.stream(made_here=made_here)
    for octet in (b"1", b"2"):
        sock.peer.send_urgent(octet)
    sock.peer.send(b"data!")
    assert await sock.recv(10) == b"data!"
    for octet in (b"1", b"2"):
        assert await sock.recv(10, OOB) == octet


@pytest.mark.behaviour("52", "Wine sock.c oob_server, oob_client, test_fionread_siocatmark")
@pytest.mark.behaviour("53", "Wine sock.c test_select")
async def test_with_so_oobinline_urgent_bytes_are_like_others(
    simulation: Simulation, made_here: bool
) -> None:
    simulation.deliver_automatically()
    sock = simulation.stream(made_here=made_here)
    sock.stdlib.setsockopt(SOL_SOCKET, SO_OOBINLINE, 1)
    sock.peer.send_urgent(b"data!")
    with pytest.raises(OSError, match=r"INVAL|10022"):
        await sock.recv(10, OOB)
    assert await sock.recv(10) == b"data!"


@pytest.mark.parametrize("answer", NoUrgent)
@pytest.mark.behaviour("54", "Wine afd.c test_poll")
@pytest.mark.behaviour("80", "no test that was read asserts it")
async def test_where_nothing_is_urgent_a_receive_waits_or_fails(
    simulation: Simulation, made_here: bool, answer: NoUrgent
) -> None:
    simulation.behaviour.no_urgent = answer
    sock = simulation.stream(made_here=made_here)
    sock.peer.send(b"data!")
    call = simulation.call(sock.recv, 5, OOB)
    await simulation.step()
    if answer is NoUrgent.REFUSED:
        assert winerror(call) == WinsockError.WSAEINVAL
    else:
        call.scope.cancel()
        await simulation.step()
        assert call.cancelled
    again = simulation.call(sock.recv, 5)
    await simulation.step()
    assert again.value == b"data!"


@pytest.mark.parametrize("flags_out", FlagsOut)
@pytest.mark.parametrize("waiting", [True, False])
@pytest.mark.behaviour("55", "Wine afd.c test_recv; libuv src/win/udp.c")
@pytest.mark.behaviour("58", "libuv src/win/winsock.c uv__wsarecv_workaround")
async def test_peeking_leaves_the_data(
    simulation: Simulation, made_here: bool, waiting: bool, flags_out: FlagsOut
) -> None:
    simulation.behaviour.flags_out = flags_out
    for sock in (simulation.stream(made_here=made_here), simulation.datagrams()):
        call = await simulation.begin(sock.recv, 10, socket.MSG_PEEK)
        if not waiting:
            await simulation.run()
        sock.peer.send(b"data!")
        await simulation.step()
        assert call.value == b"data!"
        again = simulation.call(sock.recv, 10, socket.MSG_PEEK)
        await simulation.step()
        last = simulation.call(sock.recv, 10)
        await simulation.step()
        assert (again.value, last.value) == (b"data!", b"data!")


@pytest.mark.parametrize("flags_out", FlagsOut)
@pytest.mark.behaviour(
    "58", "libuv src/win/winsock.c uv__wsarecv_workaround; ReactOS msafd sndrcv.c"
)
async def test_a_repeated_receive_has_its_flags(
    simulation: Simulation, made_here: bool, flags_out: FlagsOut
) -> None:
    simulation.behaviour.flags_out = flags_out
    sock = simulation.stream(made_here=made_here)
    call = await simulation.begin(wsarecv, sock, [bytearray(5)], OOB)
    sock.peer.end(NtStatus.CANCELLED)
    await simulation.step()
    (request,) = sock.peer.requests
    assert request.flags == OOB
    sock.peer.send_urgent(b"!")
    await simulation.step()
    assert call.value == (1, OOB)


@pytest.mark.parametrize("answer", WaitAll)
@pytest.mark.behaviour("56", "Wine afd.c test_recv; not asserted for a non-blocking socket")
async def test_wsarecv_waits_for_all_whatever_winsock_makes_of_it(
    simulation: Simulation, made_here: bool, answer: WaitAll
) -> None:
    simulation.behaviour.wait_all = answer
    sock = simulation.stream(made_here=made_here)
    buffer = bytearray(6)
    sock.peer.send(b"data")
    call = simulation.call(wsarecv, sock, [buffer], WAITALL)
    await simulation.step()
    assert not call.done
    sock.peer.send(b"da")
    await simulation.step()
    assert call.value == (6, 0)
    assert buffer == b"datada"


@pytest.mark.parametrize("ending", ["all", "end", "cancel"])
@pytest.mark.parametrize("answer", WaitAll)
@pytest.mark.behaviour(
    "56", "not asserted for a non-blocking socket; the documentation of MSG_WAITALL"
)
async def test_recv_hands_waitall_on_and_loses_nothing(
    simulation: Simulation, made_here: bool, answer: WaitAll, ending: str
) -> None:
    simulation.behaviour.wait_all = answer
    sock = simulation.stream(made_here=made_here)
    sock.peer.send(b"data")
    call = simulation.call(sock.recv, 6, WAITALL)
    await simulation.step()
    assert call.done is (answer is not WaitAll.WAITS)
    if ending == "all":
        sock.peer.send(b"da")
    elif ending == "end":
        sock.peer.send_end()
    else:
        call.scope.cancel()
    await simulation.step()
    if answer is WaitAll.REFUSED:
        assert winerror(call) == WinsockError.WSAEOPNOTSUPP
    else:
        full = answer is WaitAll.WAITS and ending == "all"
        assert call.value == (b"datada" if full else b"data")


@pytest.mark.parametrize("answer", Partial)
@pytest.mark.behaviour("57", "no test that was read asserts it")
async def test_partial_is_handed_on(
    simulation: Simulation, made_here: bool, answer: Partial
) -> None:
    simulation.behaviour.partial = answer
    for sock in (simulation.stream(made_here=made_here), simulation.datagrams()):
        sock.peer.send(b"data!")
        call = simulation.call(wsarecv, sock, [bytearray(5)], PARTIAL)
        await simulation.step()
        if answer is Partial.REFUSED:
            assert winerror(call) == WinsockError.WSAEOPNOTSUPP
        else:
            assert call.value == (5, 0)


@pytest.mark.parametrize("iosb", InlineIosb)
@pytest.mark.parametrize("flags_out", FlagsOut)
@pytest.mark.parametrize("waiting", [True, False])
@pytest.mark.behaviour("57", "STATUS_RECEIVE_PARTIAL, in libuv and the driver kit")
async def test_part_of_a_message_is_told_by_the_flags(
    simulation: Simulation, waiting: bool, flags_out: FlagsOut, iosb: InlineIosb
) -> None:
    simulation.behave(flags_out=flags_out, inline_iosb=iosb)
    sock = simulation.stream()
    if waiting:
        sock.peer.send(b"data!", NtStatus.RECEIVE_PARTIAL)
    call = await simulation.begin(wsarecv, sock, [bytearray(5)])
    if not waiting:
        sock.peer.send(b"data!", NtStatus.RECEIVE_PARTIAL)
    await simulation.step()
    assert call.value == (5, PARTIAL)


@pytest.mark.behaviour("59", "Wine sock.c test_empty_recv")
@pytest.mark.behaviour("60", "Wine sock.c test_empty_recv")
@pytest.mark.behaviour("61", "Wine afd.c test_recv; Wine sock.c test_WSARecv")
async def test_buffers_of_no_bytes(simulation: Simulation, made_here: bool) -> None:
    sock = simulation.stream(made_here=made_here)
    buffers = [bytearray(3), bytearray(), bytearray(4), bytearray(2)]
    none = simulation.call(wsarecv, sock, [])
    await simulation.step()
    assert winerror(none) == WinsockError.WSAEINVAL
    empty = simulation.call(wsarecv, sock, [bytearray()])
    await simulation.step()
    assert not empty.done
    sock.peer.send(b"data!")
    await simulation.step()
    assert empty.value == (0, 0)
    call = simulation.call(wsarecv, sock, buffers)
    await simulation.step()
    assert call.value == (5, 0)
    assert buffers == [b"dat", b"", b"a!\0\0", bytes(2)]


def room(sock: SocketOverSimulation) -> int:
    (request,) = sock.peer.requests
    return int(request.capacity)


@pytest.mark.behaviour("64", "Wine sock.c test_read_events: an absurd length faults")
async def test_no_more_is_asked_for_than_there_is_memory(
    simulation: Simulation, made_here: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    call = await simulation.begin(sock.recv, 0x7FFFFFFF)
    assert room(sock) <= 1 << 18
    call.scope.cancel()
    await simulation.step()
    assert call.cancelled
