"""Where there is no memory for a result, the next receive gets all that has been received."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NoReturn
from unittest.mock import DEFAULT, Mock, patch

import pytest

from tests.datagrams import bound
from tests.engine.test_messages import PKTINFO, PKTINFO_PARSED
from tests.peers import pattern, stdlib_pair
from tests.receiving import RECEIVES, SENDER, SENDER_ADDRESS, Receive, result_of, winerror
from tests.simulation import Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import MsgFlag, SocketStream, WinsockError, from_stdlib_socket, wsarecv
from trio_wsarecv._engine import requests
from trio_wsarecv._winsock import calls
from trio_wsarecv._winsock.codes import NtStatus
from trio_wsarecv._winsock.operation import Operation
from trio_wsarecv._winsock.status import judge

from .receives import (
    both_engines,
    both_kinds,
    complete,
    datagrams_for,
    every_engine,
    receive_when,
    socket_for,
    stream_for,
    value_of,
    when,
)

PEEK, OOB, WAITALL = MsgFlag.MSG_PEEK, MsgFlag.MSG_OOB, MsgFlag.MSG_WAITALL

JUDGE = "trio_wsarecv._engine.overlapped.judge"
UNPACK = "trio_wsarecv._winsock.operation.Operation.unpack"
ADDRESS = "trio_wsarecv._winsock.datagram.parse_address"
ANCILLARY = "trio_wsarecv._winsock.datagram.parse_ancillary"
BYTES = "trio_wsarecv._engine.messages.bytes"
RESULT = "trio_wsarecv._engine.messages.ReceiveResult"
SPREAD = "trio_wsarecv._engine.messages._spread"
TRUNCATED = "trio_wsarecv._engine.requests._truncated"


def buffers(*sizes: int) -> list[bytearray]:
    return [bytearray(size) for size in sizes]


#: Receives, and the function that makes their result.
OF_A_STREAM: dict[str, tuple[Receive, str]] = {
    "recv": (lambda sock: sock.recv(100), UNPACK),
    "recvmsg, all": (lambda sock: sock.recvmsg(100, 0, WAITALL), BYTES),
    "wsarecv": (lambda sock: wsarecv(sock, buffers(1, 99)), RESULT),
    "wsarecv, all": (lambda sock: wsarecv(sock, buffers(1, 99), WAITALL), RESULT),
}
OF_DATAGRAMS: dict[str, tuple[Receive, str]] = {
    "recv": (RECEIVES["recv"], UNPACK),
    "recvfrom_into": (RECEIVES["recvfrom_into"], ADDRESS),
    "recvmsg": (RECEIVES["recvmsg"], ANCILLARY),
    "recvmsg_into": (RECEIVES["recvmsg_into"], ANCILLARY),
    "wsarecv": (lambda sock: wsarecv(sock, buffers(*[1] * 2000)), RESULT),
    "wsarecv, spread": (lambda sock: wsarecv(sock, buffers(*[1] * 2000)), SPREAD),
    "recvfrom_many": (lambda sock: sock.recvfrom_many(1, 100), UNPACK),
    "recvmsg_many": (lambda sock: sock.recvmsg_many(1, 100, 100), ANCILLARY),
}


def fail(*_: object) -> NoReturn:
    raise MemoryError


@contextmanager
def failing(*names: str, error: type[Exception] = MemoryError) -> Iterator[None]:
    """Have the functions of these names fail, for lack of memory or for another reason."""
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(patch(name, side_effect=error, create=name.endswith(".bytes")))
        yield


async def fail_to_receive(
    simulation: Simulation,
    sock: SocketOverSimulation,
    receive: Receive,
    name: str,
    arrive: Callable[[], object],
    *,
    pending: bool = True,
    error: type[Exception] = MemoryError,
) -> None:
    """Have a receive fail, before which or during which something arrives."""
    with failing(name, error=error):
        call = await receive_when(simulation, pending, arrive, receive, sock)
    assert isinstance(call.error, error)
    assert sock.is_readable()


@every_engine
@when
@pytest.mark.parametrize("how", OF_A_STREAM)
async def test_no_byte_of_a_stream_is_lost_or_comes_twice(
    simulation: Simulation, how: str, pending: bool, engine: str
) -> None:
    sock = stream_for(simulation, engine)
    arrive = partial(sock.peer.send, pattern(100))
    for error in (MemoryError, TimeoutError):  # the latter by a signal handler
        await fail_to_receive(
            simulation, sock, *OF_A_STREAM[how], arrive, pending=pending, error=error
        )
        assert not sock.peer.waiting
        sock.peer.send(b"more")
        received = [await value_of(simulation, sock.recv, 60) for _ in range(3)]
        assert received == [pattern(100)[:60], pattern(100)[60:], b"more"]


@every_engine
@when
@pytest.mark.parametrize("parts", [1, 2, 5])
@pytest.mark.parametrize("most", [0, 900, 4000])
async def test_no_byte_of_an_exact_receive_is_lost_or_comes_twice(
    simulation: Simulation, most: int, parts: int, pending: bool, engine: str
) -> None:
    def bytes_up_to(data: Any = b"") -> bytes:
        return bytes(data) if len(data) <= most else fail()

    sock = stream_for(simulation, engine)
    stream = SocketStream(sock)
    data, size = pattern(5000), 5000 // parts
    if not pending:
        sock.peer.send(data)
    with patch.object(requests, "bytes", bytes_up_to, create=True):
        call = await complete(simulation, stream.receive_exactly, 5000)
        for start in range(0, 5000, size) if pending else ():
            sock.peer.send(data[start : start + size])
            await simulation.step()
    assert isinstance(call.error, MemoryError)
    sock.peer.send(b"more")
    assert await stream.receive_exactly(5004) == data + b"more"


async def test_no_byte_that_was_pushed_back_is_lost_or_comes_twice(simulation: Simulation) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    sock.receiver.pushed_back.add(pattern(100))
    room = "trio_wsarecv._engine"
    with failing(f"{room}.pushed_back.bytes", f"{room}.requests.bytes"):
        for receive in (sock.recv, sock.recvfrom, stream.receive_exactly):
            with pytest.raises(MemoryError):
                await receive(60)
    assert await stream.receive_exactly(60) == pattern(100)[:60]
    assert await sock.recv(60) == pattern(100)[60:]


@every_engine
@when
@pytest.mark.parametrize("size", [0, 5, 100])
@pytest.mark.parametrize("how", OF_DATAGRAMS)
async def test_a_datagram_is_received_by_the_next_receive_with_all_that_came_with_it(
    simulation: Simulation, how: str, size: int, pending: bool, engine: str
) -> None:
    sock = datagrams_for(simulation, engine)
    data = pattern(size)
    control = [PKTINFO_PARSED] if how.startswith("recvmsg") else []
    arrive = partial(sock.peer.send, data, SENDER, PKTINFO)
    for _ in range(2):
        await fail_to_receive(simulation, sock, *OF_DATAGRAMS[how], arrive, pending=pending)
        assert not sock.peer.waiting
        sock.peer.send(b"more", SENDER)
        expected = data, control, 0, SENDER_ADDRESS
        assert await sock.recvmsg(200, 100, PEEK) == expected
        assert await sock.recvmsg(200, 100) == expected
        assert await value_of(simulation, sock.recvfrom, 200) == (b"more", SENDER_ADDRESS)


async def check_too_long(
    sock: SocketOverSimulation, nbytes: int, flags: int, partial: bytes
) -> None:
    with pytest.raises(OSError, match=r".") as caught:
        await sock.recv(nbytes, flags)
    assert winerror(caught.value) == WinsockError.WSAEMSGSIZE
    assert caught.value.partial == partial  # type: ignore[attr-defined]


BATCHES: dict[str, Receive] = {
    "recvfrom_many": lambda sock: sock.recvfrom_many(9, 100),
    "recvmsg_many": lambda sock: sock.recvmsg_many(9, 100),
}


@pytest.mark.parametrize("method", [*RECEIVES, *BATCHES, "too little"])
async def test_any_receive_gets_the_datagram_left(simulation: Simulation, method: str) -> None:
    sock = simulation.datagrams()
    data = pattern(100)
    arrive = partial(sock.peer.send, data, SENDER)
    await fail_to_receive(simulation, sock, RECEIVES["recvmsg"], UNPACK, arrive)
    sock.peer.send(b"more", SENDER)
    await check_too_long(sock, 4, PEEK, data[:4])
    if method == "too little":
        await check_too_long(sock, 4, 0, data[:4])
    elif method in BATCHES:
        (datagram,) = await BATCHES[method](sock)
        assert (datagram[0], datagram[-1]) == (data, SENDER_ADDRESS)
    else:
        assert await RECEIVES[method](sock) == result_of(method, data, SENDER_ADDRESS)
    assert await sock.recv(100) == b"more"


@every_engine
@when
@pytest.mark.parametrize("how", ["recv", "recvfrom", "recv_into"])
async def test_the_next_receive_reports_that_the_datagram_was_truncated(
    simulation: Simulation, how: str, pending: bool, engine: str
) -> None:
    sock = datagrams_for(simulation, engine)
    name = TRUNCATED if how == "recv_into" else UNPACK
    arrive = partial(sock.peer.send, pattern(150), SENDER)
    for _ in range(2):
        await fail_to_receive(simulation, sock, RECEIVES[how], name, arrive, pending=pending)
        data, _, flags, address = await sock.recvmsg(200, 0, PEEK)
        assert (data, flags, address) == (pattern(100), MsgFlag.MSG_TRUNC, SENDER_ADDRESS)
        await check_too_long(sock, 200, 0, pattern(100))
        sock.peer.send(b"more")
        assert await value_of(simulation, sock.recv, 100) == b"more"


#: What fails behind the second datagram, and how many datagrams wait then.
FAULTS: dict[str, tuple[object, str, int]] = {
    "result": (Operation, "unpack", 0),
    "error": (calls, "winsock_error", 1),
}


@every_engine
@when
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("method", BATCHES)
async def test_a_batch_is_as_long_as_there_is_memory_and_the_error_comes_next(
    simulation: Simulation, method: str, fault: str, pending: bool, engine: str
) -> None:
    sock = datagrams_for(simulation, engine)
    owner, name, left = FAULTS[fault]
    function = getattr(owner, name)

    async def receive() -> list[bytes]:
        return [data for data, *_ in await BATCHES[method](sock)]

    def arrive() -> None:
        for data in (b"0", b"1", b"2"):
            if data == b"2" and fault == "error":
                sock.peer.send_error(NtStatus.PORT_UNREACHABLE)
            sock.peer.send(data, SENDER)

    def call_or_fail(*arguments: Any) -> Any:
        return fail() if len(sock.peer.waiting) == left else function(*arguments)

    with patch.object(owner, name, call_or_fail):
        call = await receive_when(simulation, pending, arrive, receive)
    assert call.value == [b"0", b"1"]
    error = sock.receiver.pushed_back.error
    assert error is not None
    assert error.__traceback__ is None  # it would keep the socket alive
    with pytest.raises(MemoryError):
        await receive()
    assert await value_of(simulation, receive) == [b"2"]


@pytest.mark.parametrize(
    ("name", "status", "came", "expected"),
    [
        (UNPACK, NtStatus.CONNECTION_RESET, b"some", [b"some", ConnectionResetError]),
        (JUDGE, NtStatus.CONNECTION_RESET, b"some", [b"some", ConnectionResetError]),
        (JUDGE, NtStatus.CONNECTION_RESET, b"", [ConnectionResetError]),
        # Another receive may have the memory that this one lacked.
        (JUDGE, NtStatus.INSUFFICIENT_RESOURCES, b"some", [b"some"]),
        (JUDGE, NtStatus.INSUFFICIENT_RESOURCES, b"", []),
    ],
)
@both_kinds
async def test_an_error_comes_after_its_bytes(
    simulation: Simulation,
    is_stream: bool,
    name: str,
    status: NtStatus,
    came: bytes,
    expected: list[Any],
) -> None:
    sock = socket_for(simulation, "default mode", is_stream=is_stream)
    once = Mock(wraps=judge, side_effect=[MemoryError, DEFAULT])
    with patch(name, once if name == JUDGE else fail):
        arrive = partial(sock.peer.end, status, came)
        call = await receive_when(simulation, True, arrive, sock.recv, 100)
    assert isinstance(call.error, MemoryError)
    for each in expected:
        if isinstance(each, bytes):
            assert await sock.recv(100) == each
        else:
            with pytest.raises(each):
                await sock.recv(100)
    assert not sock.receiver.pushed_back.something


@both_engines
@both_kinds
async def test_a_peek_keeps_nothing(simulation: Simulation, is_stream: bool, engine: str) -> None:
    sock = socket_for(simulation, engine, is_stream=is_stream)
    sock.peer.send(b"data")
    peeks: list[tuple[Receive, str]] = [
        (lambda sock: sock.recv(100, PEEK), UNPACK),
        (lambda sock: sock.recvfrom(100, PEEK), UNPACK),
        (lambda sock: wsarecv(sock, buffers(100), PEEK), RESULT),
    ]
    for peek, name in peeks:
        with failing(name), pytest.raises(MemoryError):
            await peek(sock)
        assert not sock.receiver.pushed_back.something
    assert await sock.recv(100) == b"data"
    assert not sock.peer.waiting


@both_engines
async def test_out_of_band_data_overwrites_nothing(simulation: Simulation, engine: str) -> None:
    sock = stream_for(simulation, engine)
    arrive = partial(sock.peer.send, pattern(100))
    await fail_to_receive(simulation, sock, RECEIVES["recv"], UNPACK, arrive)
    sock.peer.send_urgent(b"!")
    assert await sock.recv(10, OOB) == b"!"
    assert await sock.recv(100) == pattern(100)


@pytest.mark.skipif(not hasattr(socket.socket, "recvmsg"), reason="needs POSIX")
async def test_what_the_standard_library_has_received_is_not_lost_either() -> None:
    with stdlib_pair() as (one, other), from_stdlib_socket(one) as sock:
        for flags, left in ((0, b"data"), (socket.MSG_PEEK, b"")):
            other.send(b"data")
            name = "trio_wsarecv._engine.requests.Bytes.complete"
            with failing(name), pytest.raises(MemoryError):
                await sock.recv(100, flags)
            assert sock.receiver.pushed_back.data == left
            assert await SocketStream(sock).receive_exactly(4) == b"data"
    with from_stdlib_socket(bound()) as sock, bound() as sender:
        sender.sendto(b"data", sock.getsockname())
        name = "trio_wsarecv._engine.requests.BytesFrom.complete"
        with failing(name), pytest.raises(MemoryError):
            await sock.recvfrom(100)
        assert await sock.recvfrom(100) == (b"data", sender.getsockname())
