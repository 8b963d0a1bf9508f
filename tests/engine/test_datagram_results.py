"""What a program sees of datagrams and their messages, whichever way Windows goes."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.simulation.behaviour import InlineIosb, IosbWrite, ShortControl, TooLong
from tests.simulation.oracle.calls import SENDER
from tests.simulation.oracle.test_messages import IP_PKTINFO, IPPROTO_IP, MESSAGES, PKTINFO, cmsg
from trio_wsarecv import MsgFlag, wsarecv
from trio_wsarecv._winsock.codes import NtStatus, WinsockError

from .test_stream import winerror

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation import Simulation

ADDRESS = ("127.0.0.1", 8080)
TRUNC, CTRUNC = MsgFlag.MSG_TRUNC, MsgFlag.MSG_CTRUNC
LONG = b"0123456789"

RECEIVES: dict[str, Callable[[Any], Any]] = {
    "recv": lambda sock: sock.recv(4),
    "recv_into": lambda sock: sock.recv_into(bytearray(9), 4),
    "recvfrom": lambda sock: sock.recvfrom(4),
    "recvfrom_into": lambda sock: sock.recvfrom_into(bytearray(9), 4),
    "recvmsg": lambda sock: sock.recvmsg(4, 100),
    "recvmsg_into": lambda sock: sock.recvmsg_into([bytearray(3), bytearray(1)], 100),
    "wsarecv": lambda sock: wsarecv(sock, [bytearray(3), bytearray(1)]),
}
# What a datagram gives that fits, and one that does not where the call does not fail.
RESULTS: dict[str, Any] = {
    "recv": b"data",
    "recv_into": 4,
    "recvfrom": (b"data", ADDRESS),
    "recvfrom_into": (4, ADDRESS),
    "recvmsg": (b"data", [], 0, ADDRESS),
    "recvmsg_into": (4, [], 0, ADDRESS),
    "wsarecv": (4, 0),
}
CUT: dict[str, Any] = {
    "recvmsg": (b"0123", [], TRUNC, ADDRESS),
    "recvmsg_into": (4, [], TRUNC, ADDRESS),
    "wsarecv": (4, TRUNC),
}


@pytest.mark.parametrize("iosb", IosbWrite)
@pytest.mark.parametrize("inline_iosb", InlineIosb)
@pytest.mark.parametrize("too_long", TooLong)
@pytest.mark.parametrize("waiting", [True, False])
@pytest.mark.parametrize("method", RECEIVES)
@pytest.mark.behaviour(
    "17", "Go udpsock_test.go TestUDPReadSizeError; libuv winsock.c; zio PR #733"
)
@pytest.mark.behaviour("18", "Wine afd.c test_recv")
@pytest.mark.behaviour("19", "Wine afd.c test_recv; not asserted for a port without an event")
@pytest.mark.behaviour("73", "Wine sock.c test_UDP (todo_wine)")
async def test_a_datagram_gives_what_fits_and_says_so(
    simulation: Simulation,
    made_here: bool,
    method: str,
    waiting: bool,
    too_long: TooLong,
    inline_iosb: InlineIosb,
    iosb: IosbWrite,
) -> None:
    simulation.behave(
        too_long=too_long, inline_iosb=inline_iosb, iosb=iosb, overflow_iosb=inline_iosb
    )
    sock = simulation.datagrams(made_here=made_here)
    for datagram in (b"data", LONG, b"data"):
        if waiting:
            sock.peer.send(datagram, SENDER)
        call = await simulation.begin(RECEIVES[method], sock)
        if not waiting:
            sock.peer.send(datagram, SENDER)
        await simulation.step()
        if datagram == b"data":
            assert call.value == RESULTS[method]
        elif method in CUT:
            assert call.value == CUT[method]
        else:
            assert winerror(call) == WinsockError.WSAEMSGSIZE
            assert call.error.partial == LONG[:4]  # type: ignore[attr-defined]
    assert simulation.events.count("receive") == 3


@pytest.mark.behaviour("20", "Go udpsock_test.go TestUDPZeroByteBuffer; zio PR #733")
async def test_a_receive_of_no_bytes_does_not_take_a_datagram_unasked(
    simulation: Simulation, made_here: bool
) -> None:
    simulation.deliver_automatically()
    sock = simulation.datagrams(made_here=made_here)
    sock.peer.send(LONG, SENDER)
    with pytest.raises(OSError, match=r"INVAL|10022"):
        await wsarecv(sock, [bytearray()])
    assert sock.peer.waiting == [LONG]


@pytest.mark.parametrize("method", RECEIVES)
@pytest.mark.behaviour("21", "Go udpsock_test.go TestUDPZeroBytePayload")
async def test_an_empty_datagram_is_received(
    simulation: Simulation, made_here: bool, method: str
) -> None:
    simulation.deliver_automatically()
    sock = simulation.datagrams(made_here=made_here)
    sock.peer.send(b"", SENDER)
    result = await RECEIVES[method](sock)
    first = result[0] if isinstance(result, tuple) else result
    assert first in (b"", 0)
    if method not in ("recv", "recv_into", "wsarecv"):
        assert result[-1] == ADDRESS


SHORT = [
    pytest.param(PKTINFO, 1, id="one byte"),
    pytest.param(PKTINFO, 0, id="none"),
    pytest.param(cmsg(IPPROTO_IP, IP_PKTINFO, bytes(1000)), 600, id="more than anybody has"),
]


@pytest.mark.parametrize("waiting", [True, False])
@pytest.mark.parametrize("too_long", TooLong)
@pytest.mark.parametrize("short_control", ShortControl)
@pytest.mark.parametrize(("control", "size"), SHORT)
@pytest.mark.behaviour("22", "Wine sock.c test_ip_pktinfo")
async def test_control_data_that_does_not_fit_leaves_the_datagram_whole(
    simulation: Simulation,
    made_here: bool,
    control: bytes,
    size: int,
    short_control: ShortControl,
    too_long: TooLong,
    waiting: bool,
) -> None:
    simulation.behave(short_control=short_control, too_long=too_long)
    sock = simulation.datagrams(made_here=made_here)
    for expected in (b"HELLO", b"HE"):
        if waiting:
            sock.peer.send(b"HELLO", SENDER, control)
        call = await simulation.begin(sock.recvmsg, len(expected), size)
        if not waiting:
            sock.peer.send(b"HELLO", SENDER, control)
        await simulation.step()
        flags = CTRUNC if expected == b"HELLO" else CTRUNC | TRUNC
        assert call.value == (expected, [], flags, ADDRESS)


@pytest.mark.parametrize("short_control", ShortControl)
@pytest.mark.parametrize(("control", "size"), SHORT)
@pytest.mark.behaviour("23", "Wine sock.c test_ip_pktinfo")
async def test_control_data_that_does_not_fit_a_peek(
    simulation: Simulation, made_here: bool, control: bytes, size: int, short_control: ShortControl
) -> None:
    simulation.behaviour.short_control = short_control
    simulation.deliver_automatically()
    sock = simulation.datagrams(made_here=made_here)
    sock.peer.send(b"HELLO", SENDER, control)
    peeked = await sock.recvmsg(10, size, socket.MSG_PEEK)
    assert peeked == (b"HELLO", [], CTRUNC, ADDRESS)
    assert sock.peer.waiting == [b"HELLO"]


@pytest.mark.behaviour("24", "Wine sock.c test_ip_pktinfo")
async def test_no_control_data_is_none(simulation: Simulation, made_here: bool) -> None:
    simulation.deliver_automatically()
    sock = simulation.datagrams(made_here=made_here)
    for size in (0, 100):
        sock.peer.send(b"HELLO", SENDER)
        assert await sock.recvmsg(10, size) == (b"HELLO", [], 0, ADDRESS)


@pytest.mark.behaviour("25", "Wine sock.c test_ip_pktinfo, test_ipv4_cmsg, test_ipv6_cmsg")
async def test_control_data_is_received_as_windows_writes_it(
    simulation: Simulation, made_here: bool
) -> None:
    simulation.deliver_automatically()
    sock = simulation.datagrams(made_here=made_here)
    sock.peer.send(b"HELLO", SENDER, b"".join(cmsg(*message) for message in MESSAGES))
    assert await sock.recvmsg(10, 1000) == (b"HELLO", MESSAGES, 0, ADDRESS)


@pytest.mark.behaviour("26", "AdguardForWindows #6219, amnezia-client #3048")
async def test_where_messages_fail_other_receives_go_on(
    simulation: Simulation, made_here: bool
) -> None:
    simulation.behaviour.message_faults = True
    simulation.deliver_automatically()
    sock = simulation.datagrams(made_here=made_here)
    sock.peer.send(b"HELLO", SENDER)
    with pytest.raises(OSError, match=r"FAULT|10014"):
        await sock.recvmsg(10, 100)
    assert await sock.recvfrom(10) == (b"HELLO", ADDRESS)


@pytest.mark.parametrize("iosb", IosbWrite)
@pytest.mark.behaviour("28", ".NET UdpReceiveGetsCanceledByDispose; Wine afd.c (todo_wine)")
async def test_closing_tells_the_receiver(
    simulation: Simulation, made_here: bool, iosb: IosbWrite
) -> None:
    simulation.behaviour.iosb = iosb
    sock = simulation.datagrams(made_here=made_here)
    call = await simulation.begin(sock.recvfrom, 5)
    sock.close()
    await simulation.step()
    assert isinstance(call.error, trio.ClosedResourceError)


@pytest.mark.behaviour("31", ".NET CanceledOneOfMultipleReceives_Udp")
async def test_a_receive_that_somebody_gave_up_is_repeated(
    simulation: Simulation, made_here: bool
) -> None:
    sock = simulation.datagrams(made_here=made_here)
    call = await simulation.begin(sock.recvfrom, 5)
    sock.peer.end(NtStatus.CANCELLED)
    await simulation.step()
    sock.peer.send(b"HELLO", SENDER)
    await simulation.step()
    assert call.value == (b"HELLO", ADDRESS)


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_RDWR])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.behaviour("47", "Wine sock.c test_shutdown; .NET")
@pytest.mark.behaviour("48", "dotnet/runtime #47469")
async def test_a_receive_after_ones_own_shutdown_fails_or_can_be_cancelled(
    simulation: Simulation, made_here: bool, late: bool, how: int
) -> None:
    simulation.behaviour.late_udp_shutdown = late
    sock = simulation.datagrams(made_here=made_here)
    waits = late and how == socket.SHUT_RDWR
    call = await simulation.begin(sock.recv, 5)
    sock.shutdown(socket.SHUT_WR)
    await simulation.step()
    assert not call.done
    sock.shutdown(how)
    await simulation.step()
    assert call.done is not waits
    if waits:
        call.scope.cancel()
        await simulation.step()
        assert call.cancelled
    else:
        assert winerror(call) == WinsockError.WSAESHUTDOWN
    again = simulation.call(sock.recv, 5)
    await simulation.step()
    assert winerror(again) == WinsockError.WSAESHUTDOWN


@pytest.mark.parametrize("method", RECEIVES)
@pytest.mark.behaviour("71", "Wine afd.c test_recv; Wine sock.c test_connect_udp (todo_wine)")
async def test_an_unbound_socket_says_so(
    simulation: Simulation, made_here: bool, method: str
) -> None:
    sock = simulation.datagrams(is_bound=False, made_here=made_here)
    call = await simulation.begin(RECEIVES[method], sock)
    assert winerror(call) == WinsockError.WSAEINVAL


# By the status, the errors of a call that fails inline and of a receive that waits.
ICMP = {
    NtStatus.PORT_UNREACHABLE: (WinsockError.WSAECONNRESET, WinsockError.WSAECONNRESET),
    NtStatus.HOPLIMIT_EXCEEDED: (WinsockError.WSAENETRESET, WinsockError.WSAECONNRESET),
}


@pytest.mark.parametrize("waiting", [True, False])
@pytest.mark.parametrize("status", ICMP)
@pytest.mark.parametrize("method", RECEIVES)
@pytest.mark.behaviour("74", "CPython windows_events finish_socket_func; libuv src/win/udp.c")
async def test_an_icmp_message_fails_one_receive(
    simulation: Simulation, made_here: bool, method: str, status: NtStatus, waiting: bool
) -> None:
    sock = simulation.datagrams(made_here=made_here)
    if waiting:
        sock.peer.send_error(status)
    call = await simulation.begin(RECEIVES[method], sock)
    if not waiting:
        sock.peer.send_error(status)
    await simulation.step()
    inline, pended = ICMP[status]
    assert winerror(call) == (inline if waiting else pended)
    again = await simulation.begin(RECEIVES[method], sock)
    sock.peer.send(b"data", SENDER)
    await simulation.step()
    assert again.value == RESULTS[method]


@pytest.mark.behaviour("75", "Wine afd.c test_poll; Wine sock.c test_read_events")
@pytest.mark.behaviour("44", "Wine sock.c test_WSAPoll; Wine afd.c test_poll")
async def test_a_socket_is_readable_only_of_what_no_receive_gets(
    simulation: Simulation, made_here: bool
) -> None:
    sock = simulation.datagrams(made_here=made_here)
    call = await simulation.begin(sock.recv, 5)
    sock.peer.send(b"data", SENDER)
    assert not sock.is_readable()
    sock.peer.send(b"more", SENDER)
    assert sock.is_readable()
    await simulation.step()
    assert call.value == b"data"
    last = simulation.call(sock.recv, 5)
    await simulation.step()
    assert last.value == b"more"
    sock.shutdown(socket.SHUT_RD)
    assert not sock.is_readable()
