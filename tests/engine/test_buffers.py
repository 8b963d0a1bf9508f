"""The program's buffers: in place while the kernel has them, given back however a receive ends."""

from __future__ import annotations

import gc
import mmap
from collections.abc import Callable
from typing import Any

import pytest
import trio

from tests.peers import pattern
from tests.receiving import (
    RECEIVES,
    SENDER,
    SENDER_ADDRESS,
    Receive,
    every_receive,
    is_claimed,
    winerror,
)
from tests.simulation import Call, Simulation
from tests.simulation.behaviour import IosbWrite
from tests.simulation.request import Request
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import MsgFlag, SocketStream, WinsockError, wsarecv
from trio_wsarecv._winsock import datagram
from trio_wsarecv._winsock.codes import NtStatus
from trio_wsarecv._winsock.datagram import DatagramOperation
from trio_wsarecv._winsock.operation import Operation
from trio_wsarecv._winsock.status import Mode

from .receives import ENGINES, receive_when, socket_for, value_of

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


@every_buffer_receive
async def test_a_bad_buffer_does_not_reach_the_kernel(
    simulation: Simulation, receive: Callable[[Any, Any], Any]
) -> None:
    sock = simulation.stream()
    sock.peer.send(b"data")
    for buffer in (b"read-only", memoryview(bytearray(8))[::2]):
        with pytest.raises((TypeError, BufferError)):
            await receive(sock, buffer)
    assert not simulation.events
    assert await sock.recv(100) == b"data"


async def test_a_buffer_resized_before_a_peek_is_not_overrun(simulation: Simulation) -> None:
    sock = simulation.stream()
    buffer = bytearray(100)
    call = await simulation.begin(sock.recv_into, buffer, 0, MsgFlag.MSG_PEEK)
    del buffer[10:]  # possible until there is data
    sock.peer.send(bytes(50))
    await simulation.step()
    assert isinstance(call.error, ValueError)
    buffer.append(0)


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


ENDINGS: dict[str, Callable[[SocketOverSimulation, Call], object]] = {
    "data": lambda sock, call: sock.peer.send(b"01234567890"),
    "end": lambda sock, call: sock.peer.end(NtStatus.SUCCESS),
    "error": lambda sock, call: sock.peer.end(NtStatus.CONNECTION_RESET),
    "cancelled": lambda sock, call: call.scope.cancel(),
    "closed": lambda sock, call: sock.close(),
    "refused": lambda sock, call: None,
    "refused for want of memory": lambda sock, call: None,
    "by readiness and cancelled": lambda sock, call: call.scope.cancel(),
    "aborted and cancelled": lambda sock, call: call.scope.cancel(),
}
# With what the calls to Winsock fail.  For want of memory there is a second one, by readiness.
REFUSALS = {
    "refused": [WinsockError.WSAENETDOWN],
    "refused for want of memory": [WinsockError.WSAENOBUFS] * 2,
    "by readiness and cancelled": [WinsockError.WSAENOBUFS],
}


@pytest.mark.parametrize("ending", ENDINGS)
@every_buffer_receive
async def test_a_buffer_is_given_back_and_the_next_gets_in_however_the_receive_ends(
    simulation: Simulation, receive: Callable[[Any, bytearray], Any], ending: str
) -> None:
    sock = simulation.stream()
    for _ in range(2):
        buffer = bytearray(10)
        sock.peer.refusals.extend(REFUSALS.get(ending, ()))
        call = await simulation.begin(receive, sock, buffer)
        if ending == "aborted and cancelled":
            sock.peer.end(NtStatus.CANCELLED)
            await simulation.step()
        assert call.done is (ending in ("refused", "refused for want of memory"))
        ENDINGS[ending](sock, call)
        await simulation.step()
        assert call.done
        assert call.cancelled is ending.endswith("cancelled")
        simulation.check_quiet()
        buffer.append(0)
        if ending == "closed":
            return
        sock.peer.send(b"!")
        assert (await value_of(simulation, sock.recv, 100)).endswith(b"!")


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("set_memory", ()),
        ("set_buffer", (bytearray(10), 0)),
        ("set_buffers", ([bytearray(5), bytearray(5)], 0)),
    ],
)
async def test_exports_that_an_exception_has_left_are_released_by_the_next_receive(
    simulation: Simulation, method: str, arguments: tuple[Any, ...]
) -> None:
    for operation in (Operation(1), DatagramOperation(1, Mode.DEFAULT)):
        buffer = bytearray(10)
        operation.set_buffer(buffer, 0, 10, 0)
        getattr(operation, method)(*arguments, 10, 0)
        buffer.append(0)
        operation.release()


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
    """Have the simulation report more bytes than it has received."""
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
    for name in ("WSARecv", "WSARecvFrom"):
        monkeypatch.setattr(ws2_32, name, miscount(name, 3))
    message = miscount("WSARecvMsg", 2)
    monkeypatch.setattr("trio_wsarecv._engine.winsock.wsarecvmsg_function", lambda _: message)


every_way = pytest.mark.parametrize("way", ["pending", *ENGINES])
DATA = bytes(range(100))
MANY: dict[str, Receive] = {
    "recvfrom_many": lambda sock: sock.recvfrom_many(3, 100),
    "recvmsg_many": lambda sock: sock.recvmsg_many(3, 100),
}


@pytest.mark.usefixtures("miscounted")
@every_way
@pytest.mark.parametrize("method", RECEIVES | MANY)
async def test_every_count_is_clamped(simulation: Simulation, method: str, way: str) -> None:
    for is_stream in {False, method in RECEIVES}:
        sock = socket_for(simulation, way, is_stream=is_stream)

        def arrive(sock: SocketOverSimulation = sock) -> None:
            for _ in range(3):
                sock.peer.send(DATA)

        receive = (RECEIVES | MANY)[method]
        call = await receive_when(simulation, way == "pending", arrive, receive, sock)
        if method in MANY:
            assert [datagram[0] for datagram in call.value] == [DATA] * 3
            flags = [each[2] if "msg" in method else each.truncated for each in call.value]
            assert all(flags)
        elif method in ("recvmsg", "recvmsg_into", "wsarecv"):
            assert call.value[0] == (DATA if method == "recvmsg" else 100)
            assert call.value[1 if method == "wsarecv" else 2] == MsgFlag.MSG_TRUNC
        else:
            assert winerror(call.error) == WinsockError.WSAEMSGSIZE
            assert call.error.partial == DATA  # type: ignore[attr-defined]


@pytest.mark.usefixtures("miscounted")
@every_way
async def test_the_count_of_an_exact_receive_is_clamped(simulation: Simulation, way: str) -> None:
    sock = socket_for(simulation, way)
    receive, arrive = SocketStream(sock).receive_exactly, lambda: sock.peer.send(DATA)
    call = await receive_when(simulation, way == "pending", arrive, receive, 100)
    assert call.value == DATA


async def test_the_count_of_the_second_call_of_a_large_receive_is_clamped(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = simulation.ws2_32.WSARecv

    def miscount_what_is_not_overlapped(*arguments: Any) -> int:
        result = receive(*arguments)
        if not result and not arguments[5]:
            arguments[3][0] += MUCH
        return result

    monkeypatch.setattr(simulation.ws2_32, "WSARecv", miscount_what_is_not_overlapped)
    sock = simulation.stream()
    sock.peer.send(pattern(5000))
    for asked in (4000, 6000):
        assert len(await sock.recv(asked)) <= asked


@pytest.mark.parametrize("method", ["recvfrom", "recvmsg"])
async def test_the_lengths_of_addresses_and_control_data_are_clamped(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    sizes = []

    def note(name: str) -> None:
        function = getattr(datagram, name)

        def parse(data: bytes) -> Any:
            sizes.append(len(data))
            return function(data)

        monkeypatch.setattr(datagram, name, parse)

    note("parse_address")
    note("parse_ancillary")
    ws2_32 = simulation.ws2_32
    recvfrom, recvmsg = ws2_32.WSARecvFrom, ws2_32.WSARecvMsg

    def long_name(*arguments: Any) -> int:
        result: int = recvfrom(*arguments)
        arguments[6][0] = MUCH
        return result

    def long_message(handle: int, message: Any, *arguments: Any) -> int:
        result: int = recvmsg(handle, message, *arguments)
        message.namelen = message.Control.len = MUCH
        return result

    monkeypatch.setattr(ws2_32, "WSARecvFrom", long_name)
    monkeypatch.setattr("trio_wsarecv._engine.winsock.wsarecvmsg_function", lambda _: long_message)
    sock = simulation.datagrams(made_here=True)
    sock.peer.send(b"data", SENDER)
    received = await getattr(sock, method)(100, *([100] if method == "recvmsg" else []))
    assert (received[0], received[-1]) == (b"data", SENDER_ADDRESS)
    assert max(sizes) <= 4096
    assert sizes[-1] == 128
