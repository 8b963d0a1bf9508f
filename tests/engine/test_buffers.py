"""The program's buffers: in place while the kernel has them, given back however a receive ends."""

from __future__ import annotations

import gc
import mmap
from collections.abc import Callable
from typing import Any

import pytest
import trio

from tests.peers import pattern
from tests.receiving import RECEIVES, SENDER, Receive, every_receive, is_claimed, winerror
from tests.simulation import Simulation
from tests.simulation.behaviour import IosbWrite
from tests.simulation.request import Request
from trio_wsarecv import MsgFlag, SocketStream, WinsockError, wsarecv

GIBIBYTE = 1 << 30


@pytest.mark.parametrize("iosb", IosbWrite)
@every_receive
async def test_what_the_kernel_has_stays_in_place_until_the_packet_is_in(
    simulation: Simulation, receive: Receive, iosb: IosbWrite
) -> None:
    simulation.behave(iosb=iosb)
    sock = simulation.datagrams()
    for _ in range(3):
        call = await simulation.begin(receive, sock)
        gc.collect()
        sock.peer.send(b"data", sender=SENDER)
        gc.collect()
        await simulation.step()
        assert call.value
        simulation.check_quiet()


BUFFER_RECEIVES: dict[str, Callable[[Any, bytearray], Any]] = {
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
    simulation: Simulation, receive: Callable[[Any, bytearray], Any]
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


async def test_nothing_is_written_behind_a_buffer_that_was_resized_before_a_peek(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    buffer = bytearray(100)
    call = await simulation.begin(sock.recv_into, buffer, 0, MsgFlag.MSG_PEEK)
    del buffer[10:]  # nobody has it until there is data
    sock.peer.send(bytes(50))
    await simulation.step()
    assert isinstance(call.error, ValueError)
    buffer.append(0)


async def test_nothing_is_written_behind_a_buffer_that_was_resized_between_two_parts(
    simulation: Simulation,
) -> None:
    sock = simulation.stream(made_here=True)
    buffer = bytearray(1000)
    sock.peer.send(b"x")
    simulation.ws2_32.on_call = lambda: sock.peer.send(b"x")  # so that none has to wait
    call = simulation.call(SocketStream(sock).receive_exactly_into, buffer)
    while not is_claimed(sock):
        await trio.lowlevel.checkpoint()
    del buffer[50:]
    await simulation.step()
    assert isinstance(call.error, ValueError)
    received = await sock.recv(100)
    assert received.startswith(b"x" * 32)
    buffer.append(0)


ENDINGS = [
    *("data", "cancelled", "closed", "failed", "refused", "aborted and cancelled"),
    *("refused for want of memory", "refused for want of memory and cancelled"),
]


@pytest.mark.parametrize("ending", ENDINGS)
@every_buffer_receive
async def test_a_buffer_is_given_back_however_the_receive_ends(
    simulation: Simulation, receive: Callable[[Any, bytearray], Any], ending: str
) -> None:
    sock = simulation.stream()
    buffer = bytearray(10)
    if ending == "refused":
        sock.peer.refusals.append(WinsockError.WSAENETDOWN)
    elif ending.startswith("refused"):
        # Of the second call, too, the program is told.
        calls = 1 if ending.endswith("cancelled") else 2
        sock.peer.refusals.extend([WinsockError.WSAENOBUFS] * calls)
    call = await simulation.begin(receive, sock, buffer)
    if ending == "data":
        sock.peer.send(bytes(11))
    elif ending.endswith("cancelled") and ending != "aborted and cancelled":
        call.scope.cancel()
    elif ending == "closed":
        sock.close()
    elif ending == "failed":
        sock.peer.reset()
    elif ending == "aborted and cancelled":
        sock.peer.end(0xC0000120)
        await simulation.step()
        assert not call.done
        call.scope.cancel()
    await simulation.step()
    assert call.done
    assert call.succeeded is (ending == "data")
    simulation.check_quiet()
    buffer.append(0)


async def test_a_bad_argument_does_not_reach_the_kernel(simulation: Simulation) -> None:
    simulation.deliver_automatically()
    sock = simulation.stream()
    stream = SocketStream(sock)
    sock.peer.send(b"data")
    bad: list[tuple[type[BaseException], Callable[[], Any]]] = [
        (ValueError, lambda: sock.recv_into(bytearray(4), 5)),
        (ValueError, lambda: sock.recv_into(bytearray(4), -1)),
        (ValueError, lambda: sock.recv(-1)),
        (ValueError, lambda: stream.receive_into(bytearray(4), 5)),
        (ValueError, lambda: stream.receive_into(bytearray(4), -1)),
        (ValueError, lambda: stream.receive_exactly(-1)),
        (ValueError, lambda: stream.receive_some(0)),
        (ValueError, lambda: stream.receive_some(-1)),
        (TypeError, lambda: stream.receive_exactly_into(b"1234")),
        (TypeError, lambda: sock.recv_into(b"1234")),
        (TypeError, lambda: wsarecv(sock, [b"1234"])),
        (BufferError, lambda: stream.receive_exactly_into(memoryview(bytearray(8))[::2])),
        (BufferError, lambda: sock.recv_into(memoryview(bytearray(8))[::2])),
        (BufferError, lambda: wsarecv(sock, [memoryview(bytearray(8))[::2]])),
    ]
    for kind, call in bad:
        with pytest.raises(kind):
            await call()
    assert not simulation.events
    assert await sock.recv(100) == b"data"


async def test_a_receive_stays_within_the_bytes_asked_for(simulation: Simulation) -> None:
    simulation.deliver_automatically()
    sock = simulation.stream()
    buffer = bytearray(b"." * 10)
    sock.peer.send(b"0123456789")
    assert await sock.recv_into(buffer, 4) == 4
    assert bytes(buffer) == b"0123......"
    with memoryview(buffer)[4:6] as view:
        assert await sock.recv_into(view) == 2
    assert bytes(buffer) == b"012345...."
    halves = [bytearray(1), bytearray(0), bytearray(9)]
    assert await wsarecv(sock, halves) == (4, 0)
    assert halves == [b"6", b"", b"789" + bytes(6)]


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
            if not call.done:  # what is missing is more than that still
                (request,) = sock.peer.requests
                assert request.capacity == GIBIBYTE
                call.scope.cancel()
                await simulation.step()
                assert await stream.receive_some() == b"1234"


# A provider that counts more bytes than there was room for, as a broken layer may.

MUCH = 300_000


@pytest.fixture
def miscounted(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the simulation tell of more bytes than it has received."""
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
            return result

        return counting

    monkeypatch.setattr(Request, "write_iosb", write_too_much)
    for name, index in (("WSARecv", 3), ("WSARecvFrom", 3)):
        monkeypatch.setattr(ws2_32, name, miscount(name, index))
    message = miscount("WSARecvMsg", 2)
    monkeypatch.setattr("trio_wsarecv._engine.winsock.wsarecvmsg_function", lambda _: message)


@pytest.mark.usefixtures("miscounted")
@pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "datagrams"])
@pytest.mark.parametrize("way", ["pending", "inline", "skip mode", "by readiness"])
@pytest.mark.parametrize("method", [*RECEIVES, "recvfrom_many", "recvmsg_many"])
async def test_a_count_never_reaches_behind_the_room_for_it(
    simulation: Simulation, method: str, way: str, is_stream: bool
) -> None:
    many = method.endswith("many")
    if many and is_stream:
        pytest.skip("a stream has no datagrams")
    sock = (simulation.stream if is_stream else simulation.datagrams)(made_here=way == "skip mode")
    sock.peer.ifs_handles = way != "by readiness"
    data = bytes(range(100))
    if many:
        call = simulation.call(getattr(sock, method), 3, 100)
    else:
        call = simulation.call(RECEIVES[method], sock)
    if way == "pending":
        await simulation.run()
    for _ in range(3 if many else 1):
        sock.peer.send(data)
    await simulation.step()
    if many:
        assert [datagram[0] for datagram in call.value] == [data] * 3
        flags = [each[2] if method == "recvmsg_many" else each.truncated for each in call.value]
        assert all(flags)
    elif method in ("recvmsg", "recvmsg_into", "wsarecv"):
        assert call.value[0] == (data if method == "recvmsg" else 100)
        assert call.value[1 if method == "wsarecv" else 2] == MsgFlag.MSG_TRUNC
    else:
        assert winerror(call.error) == WinsockError.WSAEMSGSIZE
        assert call.error.partial == data  # type: ignore[attr-defined]


async def test_a_count_of_what_came_behind_the_first_bytes_never_reaches_behind_the_room(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = simulation.ws2_32.WSARecv

    def miscount_what_is_not_overlapped(*arguments: Any) -> int:
        result = receive(*arguments)
        if not result and not arguments[5]:
            arguments[3][0] += MUCH
        return result

    monkeypatch.setattr(simulation.ws2_32, "WSARecv", miscount_what_is_not_overlapped)
    simulation.deliver_automatically()
    sock = simulation.stream()
    sock.peer.send(pattern(5000))
    for asked in (4000, 6000):
        received = await sock.recv(asked)
        assert len(received) <= asked


@pytest.mark.usefixtures("miscounted")
@pytest.mark.parametrize("way", ["pending", "inline", "skip mode", "by readiness"])
async def test_a_count_never_reaches_behind_the_memory_of_an_exact_receive(
    simulation: Simulation, way: str
) -> None:
    sock = simulation.stream(made_here=way == "skip mode")
    sock.peer.ifs_handles = way != "by readiness"
    stream = SocketStream(sock)
    data = bytes(range(100))
    call = simulation.call(stream.receive_exactly, 100)
    if way == "pending":
        await simulation.run()
    sock.peer.send(data)
    await simulation.step()
    assert call.value == data
