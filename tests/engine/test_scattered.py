"""Several buffers: what the kernel is given of them, and that they are filled without holes."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import pytest

from tests.receiving import winerror
from tests.simulation import CancelAnswer, Simulation
from trio_wsarecv import MsgFlag, WinsockError, wsarecv

from .arrivals import both_kinds, every_choice, make_socket
from .receives import complete

WAITALL, PUSH = MsgFlag.MSG_WAITALL, MsgFlag.MSG_PUSH_IMMEDIATE


def filled(buffers: Sequence[Any]) -> bytes:
    return b"".join(buffers)


@both_kinds
async def test_the_kernel_is_given_all_buffers_and_flags(simulation: Simulation, kind: str) -> None:
    sizes = [5, 0, 7, 1]
    sock = make_socket(simulation, kind)
    buffers = [bytearray(b"." * size) for size in sizes]
    call = await simulation.begin(wsarecv, sock, buffers, PUSH)
    (request,) = sock.peer.requests
    # A datagram that does not fit has room behind the program's buffers.
    behind = [] if kind == "stream" else [65536]
    assert [size for _, size in request.buffers] == sizes + behind
    assert request.flags == PUSH
    sock.peer.send(b"datagram")
    await simulation.step()
    assert call.value == (8, 0)
    assert filled(buffers) == b"datagram....."


@pytest.mark.parametrize("count", [1023, 1024, 3000])
@both_kinds
async def test_a_call_is_given_at_most_1024_buffers(
    simulation: Simulation, kind: str, count: int
) -> None:
    sock = make_socket(simulation, kind)
    buffers = [bytearray(2) for _ in range(count)]
    call = await simulation.begin(wsarecv, sock, buffers)
    (request,) = sock.peer.requests
    assert len(request.buffers) <= 1024
    sock.peer.send(b"datagram!")
    await simulation.step()
    assert call.value == (9, 0)
    assert filled(buffers) == b"datagram!".ljust(2 * count, b"\0")


async def test_buffers_without_room_take_nothing(simulation: Simulation, made_here: bool) -> None:
    sock = simulation.stream(made_here=made_here)
    none = await complete(simulation, wsarecv, sock, [])
    assert winerror(none.error) == WinsockError.WSAEINVAL
    call = await complete(simulation, wsarecv, sock, [bytearray()])
    assert not call.done
    sock.peer.send(b"data")
    await simulation.step()
    assert call.value == (0, 0)
    again = await complete(simulation, wsarecv, sock, [bytearray(), bytearray()])
    assert again.value == (0, 0)
    assert sock.peer.waiting == b"data"


@every_choice("cancel")
async def test_a_cancelled_receive_gives_its_bytes_or_leaves_them(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    buffers = [bytearray(2), bytearray(9)]
    call = await simulation.begin(wsarecv, sock, buffers)
    simulation.behave(prompt=False)
    sock.peer.send(b"data")
    call.scope.cancel()
    await simulation.step()
    if call.cancelled:
        assert simulation.behaviour.cancel is CancelAnswer.ABORTED
        call = await complete(simulation, wsarecv, sock, buffers)
    assert call.value == (4, 0)
    assert filled(buffers) == b"data" + bytes(7)


# With MSG_WAITALL.


@every_choice("wait_all")
async def test_wsarecv_waits_for_all_in_parts_and_does_not_pass_waitall_on(
    simulation: Simulation, made_here: bool
) -> None:
    # Winsock need not wait for all on a non-blocking socket, and may refuse to.
    sock = simulation.stream(made_here=made_here)
    buffers = [bytearray(b"." * size) for size in (3, 0, 4, 2, 0)]
    call = simulation.call(wsarecv, sock, buffers, WAITALL | PUSH)
    for piece, room in ((b"ab", 9), (b"c", 7), (b"def", 6), (b"g", 3), (b"hi", 2)):
        await simulation.run()
        (request,) = sock.peer.requests
        assert request.capacity == room
        assert request.flags == PUSH
        sock.peer.send(piece)
        await simulation.step()
    assert call.value == (9, 0)
    assert filled(buffers) == b"abcdefghi"


async def test_any_number_of_buffers_without_room_is_passed_over(simulation: Simulation) -> None:
    sock = simulation.stream()
    nothing = [bytearray(0)] * 1500
    one, two = bytearray(1), bytearray(1)
    sock.peer.send(b"12")
    buffers = [*nothing, one, *nothing, two, *nothing]
    assert (await complete(simulation, wsarecv, sock, buffers, WAITALL)).value == (2, 0)
    assert one + two == b"12"


@pytest.mark.parametrize("ending", ["refused", "reset", "cancelled"])
async def test_waiting_for_all_loses_nothing_when_it_fails_or_is_cancelled(
    simulation: Simulation, ending: str
) -> None:
    sock = simulation.stream()
    nothing = ((ctypes.c_char * 0) * 3)()  # of several dimensions
    buffers = [bytearray(1), nothing, bytearray(2), bytearray(9)]
    call = await simulation.begin(wsarecv, sock, buffers, WAITALL)
    sock.peer.send(b"abcde")
    if ending == "refused":
        sock.peer.refusals.append(WinsockError.WSAENETDOWN)
    else:
        await simulation.step()
        sock.peer.reset() if ending == "reset" else call.scope.cancel()
    await simulation.step()
    if ending == "cancelled":
        assert call.cancelled
    else:
        reset = ending == "reset"
        expected = WinsockError.WSAECONNRESET if reset else WinsockError.WSAENETDOWN
        assert winerror(call.error) == expected
    sock.peer.failure = None
    sock.peer.send(b"f")
    again = await complete(simulation, wsarecv, sock, [nothing, *buffers[2:]], WAITALL)
    assert not again.done
    sock.peer.send(b"ghijk")
    await simulation.step()
    assert again.value == (11, 0)
    assert filled(buffers[2:]) == b"abcdefghijk"
