"""The program's buffers: in place while the kernel has them, given back however a receive ends."""

from __future__ import annotations

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
from tests.simulation import Call, Simulation
from tests.simulation.request import Request
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import MsgFlag, SocketStream, WinsockError, wsarecv
from trio_wsarecv._winsock import datagram
from trio_wsarecv._winsock.codes import NtStatus

from .receives import ENGINES, receive_when, socket_for, value_of

GIBIBYTE = 1 << 30


@pytest.mark.parametrize("late_iosb", [True, False])
@every_receive
async def test_what_the_kernel_has_stays_in_place_until_the_packet_is_in(
    simulation: Simulation, receive: Receive, late_iosb: bool
) -> None:
    simulation.behave(late_iosb=late_iosb)
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


# How a receive ends, with what calls to Winsock fail before, and what happens then.  For want of
# memory there is a second call, by readiness.
NO_BUFFERS = WinsockError.WSAENOBUFS
ENDINGS: dict[str, tuple[list[WinsockError], Callable[[SocketOverSimulation, Call], object]]] = {
    "data": ([], lambda sock, _: sock.peer.send(b"01234567890")),
    "end": ([], lambda sock, _: sock.peer.end(NtStatus.SUCCESS)),
    "error": ([], lambda sock, _: sock.peer.end(NtStatus.CONNECTION_RESET)),
    "cancelled": ([], lambda _, call: call.scope.cancel()),
    "closed": ([], lambda sock, _: sock.close()),
    "refused": ([WinsockError.WSAENETDOWN], lambda *_: None),
    "refused for want of memory": ([NO_BUFFERS] * 2, lambda *_: None),
    "by readiness and cancelled": ([NO_BUFFERS], lambda _, call: call.scope.cancel()),
    "aborted and cancelled": ([], lambda _, call: call.scope.cancel()),
}


@pytest.mark.parametrize("ending", ENDINGS)
@every_buffer_receive
async def test_a_buffer_is_given_back_and_the_next_gets_in_however_the_receive_ends(
    simulation: Simulation, receive: Callable[[Any, bytearray], Any], ending: str
) -> None:
    refusals, happens = ENDINGS[ending]
    sock = simulation.stream()
    for _ in range(2):
        buffer = bytearray(10)
        sock.peer.refusals.extend(refusals)
        call = await simulation.begin(receive, sock, buffer)
        if ending.startswith("aborted"):
            sock.peer.end(NtStatus.CANCELLED)
            await simulation.step()
        assert call.done is ending.startswith("refused")
        happens(sock, call)
        await simulation.step()
        assert call.done
        assert call.cancelled is ending.endswith("cancelled")
        simulation.check_quiet()
        buffer.append(0)
        if ending == "closed":
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


DATA = bytes(range(100))
WITHOUT_FLAGS = ("recv", "recv_into", "recvfrom", "recvfrom_into")
CLAMPED: dict[str, Receive] = {
    **RECEIVES,
    "recvfrom_many": lambda sock: sock.recvfrom_many(3, 100),
    "recvmsg_many": lambda sock: sock.recvmsg_many(3, 100),
}


@pytest.mark.usefixtures("miscounted")
@pytest.mark.parametrize("way", ["pending", *ENGINES])
@pytest.mark.parametrize("method", CLAMPED)
async def test_every_size_is_clamped(simulation: Simulation, method: str, way: str) -> None:
    is_many = method.endswith("many")
    for is_stream in {False, not is_many}:
        sock = socket_for(simulation, way, is_stream=is_stream)

        def arrive(sock: SocketOverSimulation = sock) -> None:
            for _ in range(3):
                sock.peer.send(DATA)

        call = await receive_when(simulation, way == "pending", arrive, CLAMPED[method], sock)
        if method in WITHOUT_FLAGS:
            assert winerror(call.error) == WinsockError.WSAEMSGSIZE
            assert call.error.partial == DATA  # type: ignore[attr-defined]
        elif is_many:
            assert [each[0] for each in call.value] == [DATA] * 3
            assert all(each[2] if "msg" in method else each.truncated for each in call.value)
        else:
            assert call.value[0] == (DATA if method == "recvmsg" else 100)
            assert call.value[1 if method == "wsarecv" else 2] == MsgFlag.MSG_TRUNC


@pytest.mark.usefixtures("miscounted")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("pending", [False, True])
async def test_the_count_of_an_exact_or_a_large_receive_is_clamped(
    simulation: Simulation, engine: str, pending: bool
) -> None:
    sock = socket_for(simulation, engine)
    receive, arrive = SocketStream(sock).receive_exactly, lambda: sock.peer.send(DATA)
    call = await receive_when(simulation, pending, arrive, receive, 100)
    assert call.value == DATA
    if engine != "readiness":  # which asks for all at once
        large = partial(sock.peer.send, pattern(5000))
        call = await receive_when(simulation, pending, large, sock.recv, 4000)
        assert call.error.partial == pattern(4000)  # type: ignore[attr-defined]
