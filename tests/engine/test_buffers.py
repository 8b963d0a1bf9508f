"""The program's buffers: filled in order, in place meanwhile, given back however a receive ends."""

from __future__ import annotations

import ctypes
import gc
import mmap
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio

from tests.peers import pattern
from tests.receiving import (
    RECEIVES,
    SENDER,
    Receive,
    every_receive,
    is_claimed,
    winerror,
)
from tests.simulation import Simulation
from tests.simulation.request import Request
from trio_wsarecv import MsgFlag, SocketStream, WinsockError, wsarecv
from trio_wsarecv._winsock import datagram

from .receives import (
    BATCHES,
    ENGINES,
    both_kinds,
    complete,
    every_choice,
    receive_when,
    socket_for,
    value_of,
)
from .scripts import play

GIBIBYTE = 1 << 30
WAITALL, PUSH = MsgFlag.MSG_WAITALL, MsgFlag.MSG_PUSH_IMMEDIATE


@both_kinds
async def test_the_kernel_is_given_all_buffers_and_flags(
    simulation: Simulation, is_stream: bool
) -> None:
    sizes = [5, 0, 7, 1]
    sock = socket_for(simulation, "default mode", is_stream=is_stream)
    buffers = [bytearray(b"." * size) for size in sizes]
    call = await simulation.begin(wsarecv, sock, buffers, PUSH)
    (request,) = sock.peer.requests
    # A datagram that does not fit has room behind the program's buffers.
    behind = [] if is_stream else [65536]
    assert [size for _, size in request.buffers] == sizes + behind
    assert request.flags == PUSH
    sock.peer.send(b"datagram")
    await simulation.step()
    assert call.value == (8, 0)
    assert b"".join(buffers) == b"datagram....."


@pytest.mark.parametrize("count", [1023, 1024, 3000])
@both_kinds
async def test_a_call_is_given_at_most_1024_buffers(
    simulation: Simulation, is_stream: bool, count: int
) -> None:
    sock = socket_for(simulation, "default mode", is_stream=is_stream)
    buffers = [bytearray(2) for _ in range(count)]
    call = await simulation.begin(wsarecv, sock, buffers)
    (request,) = sock.peer.requests
    assert len(request.buffers) <= 1024
    sock.peer.send(b"datagram!")
    await simulation.step()
    assert call.value == (9, 0)
    assert b"".join(buffers) == b"datagram!".ljust(2 * count, b"\0")


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


@every_choice("wait_all")
async def test_wsarecv_waits_for_all_in_parts_and_does_not_pass_waitall_on(
    simulation: Simulation, made_here: bool
) -> None:
    # Winsock need not wait for all on a non-blocking socket, and may refuse to.
    sock = simulation.stream(made_here=made_here)
    nothing = [((ctypes.c_char * 0) * 3)()] * 1500  # each of several dimensions
    one, two, three = bytearray(3), bytearray(4), bytearray(2)
    buffers = [*nothing, one, nothing[0], two, three, *nothing]
    call = simulation.call(wsarecv, sock, buffers, WAITALL | PUSH)
    for piece, room in ((b"ab", 9), (b"c", 7), (b"def", 6), (b"g", 3), (b"hi", 2)):
        await simulation.run()
        (request,) = sock.peer.requests
        assert request.capacity == room
        assert request.flags == PUSH
        sock.peer.send(piece)
        await simulation.step()
    assert call.value == (9, 0)
    assert one + two + three == b"abcdefghi"


@every_choice("late_iosb")
@every_receive
async def test_what_the_kernel_has_stays_in_place_until_the_packet_is_in(
    simulation: Simulation, receive: Receive
) -> None:
    sock = simulation.datagrams()
    for _ in range(3):
        call = await simulation.begin(receive, sock)
        gc.collect()
        sock.peer.send(b"data", sender=SENDER)
        gc.collect()
        await simulation.step()
        assert call.value
        simulation.check_quiet()


BUFFER_RECEIVES: dict[str, Callable[..., Any]] = {
    "recv_into": lambda sock, buffer: sock.recv_into(buffer),
    "recvfrom_into": lambda sock, buffer: sock.recvfrom_into(buffer),
    "recvmsg_into": lambda sock, buffer: sock.recvmsg_into([bytearray(1), buffer]),
    "wsarecv": lambda sock, buffer: wsarecv(sock, [bytearray(1), buffer]),
    "receive_into": lambda sock, buffer: SocketStream(sock).receive_into(buffer),
    "receive_exactly_into": lambda sock, buffer: SocketStream(sock).receive_exactly_into(buffer),
}
every_buffer_receive = pytest.mark.parametrize(
    "receive", BUFFER_RECEIVES.values(), ids=BUFFER_RECEIVES
)


@every_buffer_receive
async def test_a_buffer_cannot_be_resized_while_the_kernel_has_it(
    simulation: Simulation, receive: Callable[..., Any]
) -> None:
    sock = simulation.stream()
    buffer = bytearray(10)
    call = await simulation.begin(receive, sock, buffer)
    with pytest.raises(BufferError):
        buffer.append(0)
    sock.peer.send(b"0123456789a")
    with pytest.raises(BufferError):
        buffer.append(0)
    await simulation.step()
    assert call.succeeded
    buffer.append(0)
    assert len(buffer) == 11
    assert b"123456789" in buffer


async def test_a_buffer_resized_between_two_parts_is_not_overrun(simulation: Simulation) -> None:
    sock = simulation.stream(made_here=True)
    buffer = bytearray(1000)
    sock.peer.send(b"x")
    simulation.ws2_32.on_call = lambda: sock.peer.send(b"x")  # so that no part has to wait
    call = simulation.call(SocketStream(sock).receive_exactly_into, buffer)
    while not is_claimed(sock):
        await trio.lowlevel.checkpoint()
    del buffer[50:]
    await simulation.step()
    assert isinstance(call.error, ValueError)
    received = await sock.recv(100)
    assert received.startswith(b"x" * 32)
    buffer.append(0)


@every_buffer_receive
async def test_a_buffer_resized_while_its_receive_waits_for_its_turn_takes_nothing(
    simulation: Simulation, receive: Callable[..., Any]
) -> None:
    sock = simulation.stream()
    buffer = bytearray(10)
    exact = await simulation.begin(SocketStream(sock).receive_exactly, 100)
    sock.peer.send(b"0123456789a")
    await simulation.step()
    simulation.behave(prompt=False)
    exact.scope.cancel()
    call = await simulation.begin(receive, sock, buffer)
    del buffer[2:]
    await simulation.step()
    assert exact.cancelled
    assert isinstance(call.error, ValueError)
    assert await sock.recv(100) == b"0123456789a"


@pytest.mark.parametrize(
    "script",
    [
        "begin, data 01234567890, .",
        "begin, complete SUCCESS, .",
        "begin, complete CONNECTION_RESET, .",
        "begin, cancel, .",
        "begin, complete CANCELLED, ., cancel, .",
        "begin, close, .",
        "refuse WSAENETDOWN, begin",
        # For want of memory there is a second call, by readiness.
        "refuse WSAENOBUFS, refuse WSAENOBUFS, begin",
        "refuse WSAENOBUFS, begin, cancel, .",
    ],
)
@every_buffer_receive
async def test_a_buffer_is_given_back_and_the_next_gets_in_however_the_receive_ends(
    simulation: Simulation, receive: Callable[..., Any], script: str
) -> None:
    sock = simulation.stream()
    for _ in range(2):
        buffer = bytearray(10)
        assert await play(simulation, sock, script, partial(receive, buffer=buffer)) != "waits"
        simulation.check_quiet()
        buffer.append(0)
        if sock.fileno() == -1:
            return
        sock.peer.send(b"!")
        assert (await value_of(simulation, sock.recv, 100)).endswith(b"!")


async def test_the_kernel_is_asked_for_a_gibibyte_at_the_most(simulation: Simulation) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    with mmap.mmap(-1, GIBIBYTE + 4096) as memory:
        calls: list[tuple[Any, ...]] = [
            (sock.recv_into, memory),
            (stream.receive_exactly_into, memory),
            (wsarecv, sock, [memory, memory]),
        ]
        for arguments in calls:
            call = await simulation.begin(*arguments)
            (request,) = sock.peer.requests
            assert request.capacity == GIBIBYTE
            sock.peer.send(b"1234")
            await simulation.step()
            if not call.done:  # what is missing is still more than that
                (request,) = sock.peer.requests
                assert request.capacity == GIBIBYTE
                call.scope.cancel()
                await simulation.step()
                assert await stream.receive_some() == b"1234"


# A broken provider may report more bytes than there was room for.

MUCH = 300_000


@pytest.fixture
def miscounted(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the simulation report more than it has received; check what is read of it."""
    ws2_32 = simulation.ws2_32
    write_iosb = Request.write_iosb

    def write_too_much(request: Request) -> None:
        write_iosb(request)
        request.overlapped.InternalHigh += MUCH

    def miscount(name: str, index: int) -> Callable[..., int]:
        call = getattr(ws2_32, name)

        def counting(*arguments: Any) -> int:
            result: int = call(*arguments)
            if not result and arguments[index]:
                arguments[index][0] += MUCH
                if name == "WSARecvFrom":
                    arguments[6][0] = MUCH  # the length of the sender's address
                elif name == "WSARecvMsg":
                    arguments[1].namelen = arguments[1].Control.len = MUCH
            return result

        return counting

    def parse_with_limit(name: str, limit: int) -> Callable[[bytes], Any]:
        parse = getattr(datagram, name)

        def parsing(data: bytes) -> Any:
            assert len(data) <= limit
            return parse(data)

        return parsing

    monkeypatch.setattr(Request, "write_iosb", write_too_much)
    for name in ("WSARecv", "WSARecvFrom"):
        monkeypatch.setattr(ws2_32, name, miscount(name, 3))
    message = miscount("WSARecvMsg", 2)
    monkeypatch.setattr("trio_wsarecv._engine.winsock.wsarecvmsg_function", lambda _: message)
    for name, limit in (("parse_address", 128), ("parse_ancillary", 4096)):
        monkeypatch.setattr(datagram, name, parse_with_limit(name, limit))


WITHOUT_FLAGS = ("recv", "recv_into", "recvfrom", "recvfrom_into", "recv, large")
CLAMPED: list[tuple[str, bool, Receive]] = [
    *((name, is_stream, each) for name, each in RECEIVES.items() for is_stream in (True, False)),
    ("recv, large", True, lambda sock: sock.recv(4000)),
    ("receive_exactly", True, lambda sock: SocketStream(sock).receive_exactly(100)),
    *((name, False, each) for name, each in BATCHES.items()),
]


@pytest.mark.usefixtures("miscounted")
@pytest.mark.parametrize("way", ["pending", *ENGINES])
@pytest.mark.parametrize(("method", "is_stream", "receive"), CLAMPED)
async def test_every_size_is_clamped(
    simulation: Simulation, method: str, is_stream: bool, receive: Receive, way: str
) -> None:
    data = pattern(4000 if "large" in method else 100)
    sock = socket_for(simulation, way, is_stream=is_stream)

    def arrive() -> None:
        for _ in range(3):
            sock.peer.send(data)

    call = await receive_when(simulation, way == "pending", arrive, receive, sock)
    if method in WITHOUT_FLAGS:
        assert winerror(call.error) == WinsockError.WSAEMSGSIZE
        assert call.error.partial == data  # type: ignore[attr-defined]
    elif method == "receive_exactly":
        assert call.value == data
    elif method.endswith("many"):
        assert [each[0] for each in call.value] == [data] * 3
        assert all(each[2] if "msg" in method else each.truncated for each in call.value)
    else:
        assert call.value[0] == (data if method == "recvmsg" else 100)
        assert call.value[1 if method == "wsarecv" else 2] == MsgFlag.MSG_TRUNC
