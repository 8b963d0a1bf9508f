"""Where there is no memory for a result, what came in is left to the next receive, all of it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from tests.engine.flows import both_modes
from tests.engine.test_messages import PKTINFO, PKTINFO_PARSED
from tests.peers import pattern
from tests.receiving import SENDER, SENDER_ADDRESS, winerror
from tests.simulation import Call, Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import MsgFlag, SocketStream, WinsockError, wsarecv
from trio_wsarecv._winsock.codes import NtStatus
from trio_wsarecv._winsock.operation import Operation

Receive = Callable[[Any], Awaitable[Any]]

when = pytest.mark.parametrize("pending", [False, True], ids=["inline", "pending"])
both_engines = pytest.mark.parametrize("overlapped", [True, False], ids=["overlapped", "readiness"])

UNPACK = "trio_wsarecv._winsock.operation.Operation.unpack"
ADDRESS = "trio_wsarecv._winsock.datagram.parse_address"
ANCILLARY = "trio_wsarecv._winsock.datagram.parse_ancillary"
BYTES = "trio_wsarecv._engine.messages.bytes"
RESULT = "trio_wsarecv._engine.messages.ReceiveResult"

#: The calls that make something of what they receive, and what they make it by.
OF_A_STREAM: dict[str, tuple[Receive, str]] = {
    "recv": (lambda sock: sock.recv(100), UNPACK),
    "recvfrom": (lambda sock: sock.recvfrom(100), UNPACK),
    "receive_some": (lambda sock: SocketStream(sock).receive_some(100), UNPACK),
    "recvmsg": (lambda sock: sock.recvmsg(100), UNPACK),
    "recvmsg, all": (lambda sock: sock.recvmsg(100, 0, MsgFlag.MSG_WAITALL), BYTES),
    "wsarecv": (lambda sock: wsarecv(sock, [bytearray(1), bytearray(99)]), RESULT),
    "wsarecv, all": (
        lambda sock: wsarecv(sock, [bytearray(1), bytearray(99)], MsgFlag.MSG_WAITALL),
        RESULT,
    ),
}
OF_DATAGRAMS: dict[str, tuple[Receive, str]] = {
    "recv": (lambda sock: sock.recv(100), UNPACK),
    "recvfrom": (lambda sock: sock.recvfrom(100), UNPACK),
    "recvfrom, sender": (lambda sock: sock.recvfrom(100), ADDRESS),
    "recvfrom_into, sender": (lambda sock: sock.recvfrom_into(bytearray(100)), ADDRESS),
    "recvmsg": (lambda sock: sock.recvmsg(100, 100), UNPACK),
    "recvmsg, sender": (lambda sock: sock.recvmsg(100, 100), ADDRESS),
    "recvmsg, ancillary data": (lambda sock: sock.recvmsg(100, 100), ANCILLARY),
    "recvmsg_into, ancillary data": (
        lambda sock: sock.recvmsg_into([bytearray(1), bytearray(99)], 100),
        ANCILLARY,
    ),
    "wsarecv": (lambda sock: wsarecv(sock, [bytearray(1), bytearray(99)]), RESULT),
    "wsarecv, many": (lambda sock: wsarecv(sock, [bytearray(1) for _ in range(2000)]), RESULT),
    "recvfrom_many": (lambda sock: sock.recvfrom_many(1, 100), UNPACK),
    "recvmsg_many": (lambda sock: sock.recvmsg_many(1, 100, 100), ANCILLARY),
}


def fail(*_: object) -> Any:
    raise MemoryError


@contextmanager
def without_memory(*names: str) -> Iterator[None]:
    """Have the functions of these names fail."""
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setattr(name, fail, raising=name != BYTES)
        yield


async def receive_without_memory(
    simulation: Simulation,
    receive: Receive,
    arrive: Callable[[], object],
    *names: str,
    sock: SocketOverSimulation,
    pending: bool,
) -> None:
    """Have a receive fail for want of memory, before which or during which something arrives."""
    async with simulation.nursery() as nursery:
        if not pending:
            arrive()
        with without_memory(*names):
            call = Call(nursery, receive, sock)
            await simulation.run()
            if pending:
                assert not call.done
                arrive()
            await simulation.step()
        assert isinstance(call.error, MemoryError)
    assert sock.is_readable()


@both_engines
@both_modes
@when
@pytest.mark.parametrize("how", OF_A_STREAM)
async def test_no_byte_of_a_stream_is_lost_or_comes_twice(
    simulation: Simulation, how: str, pending: bool, made_here: bool, overlapped: bool
) -> None:
    receive, name = OF_A_STREAM[how]
    sock = simulation.stream(made_here=made_here)
    sock.peer.ifs_handles = overlapped
    for _ in range(2):
        await receive_without_memory(
            *(simulation, receive, lambda: sock.peer.send(pattern(100)), name),
            sock=sock,
            pending=pending,
        )
        assert not sock.peer.waiting
        sock.peer.send(b"more")
        assert await sock.recv(60) == pattern(100)[:60]
        assert await sock.recv(60) == pattern(100)[60:]
        assert await sock.recv(60) == b"more"


class FailingBytes:
    """What `bytes` is where there is no memory for much."""

    def __init__(self, most: int) -> None:
        self.most = most

    def __call__(self, data: Any = b"") -> bytes:
        made = bytes(data)
        if len(made) > self.most:
            raise MemoryError
        return made


@both_engines
@both_modes
@when
@pytest.mark.parametrize("parts", [1, 2, 5])
@pytest.mark.parametrize("most", [0, 900, 4000])
async def test_no_byte_of_an_exact_receive_is_lost_or_comes_twice(
    simulation: Simulation,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    parts: int,
    pending: bool,
    made_here: bool,
    overlapped: bool,
) -> None:
    sock = simulation.stream(made_here=made_here)
    sock.peer.ifs_handles = overlapped
    stream = SocketStream(sock)
    data, size = pattern(5000), 5000 // parts
    if not pending:
        sock.peer.send(data)
    with monkeypatch.context() as patch:
        patch.setattr("trio_wsarecv._engine.requests.bytes", FailingBytes(most), raising=False)
        call = simulation.call(stream.receive_exactly, 5000)
        await simulation.step()
        for start in range(0, 5000, size) if pending else ():
            sock.peer.send(data[start : start + size])
            await simulation.step()
    assert isinstance(call.error, MemoryError)
    sock.peer.send(b"more")
    sock.peer.send_end()
    simulation.deliver_automatically()
    assert await stream.receive_exactly(5004) == data + b"more"


async def test_where_bytes_were_pushed_back_none_of_them_is_lost_or_comes_twice(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    sock.receiver.pushed_back.add(pattern(100))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trio_wsarecv._engine.pushed_back.bytes", fail, raising=False)
        patch.setattr("trio_wsarecv._engine.requests.bytes", fail, raising=False)
        for receive in (sock.recv, sock.recvfrom, stream.receive_exactly):
            with pytest.raises(MemoryError):
                await receive(60)
    assert await stream.receive_exactly(60) == pattern(100)[:60]
    assert await sock.recv(60) == pattern(100)[60:]


@both_engines
@both_modes
@when
@pytest.mark.parametrize("size", [0, 5, 100])
@pytest.mark.parametrize("how", OF_DATAGRAMS)
async def test_a_datagram_is_received_by_the_next_receive_whole_and_with_what_came_along(
    simulation: Simulation, how: str, size: int, pending: bool, made_here: bool, overlapped: bool
) -> None:
    receive, name = OF_DATAGRAMS[how]
    sock = simulation.datagrams(made_here=made_here)
    sock.peer.ifs_handles = overlapped
    data = pattern(size)
    control = [PKTINFO_PARSED] if how.startswith("recvmsg") else []
    for _ in range(2):
        await receive_without_memory(
            *(simulation, receive, lambda: sock.peer.send(data, SENDER, PKTINFO), name),
            sock=sock,
            pending=pending,
        )
        assert not sock.peer.waiting
        sock.peer.send(b"more", SENDER)
        peeked = await sock.recvmsg(200, 100, MsgFlag.MSG_PEEK)
        assert peeked == (data, control, 0, SENDER_ADDRESS)
        assert await sock.recvmsg(200, 100) == (data, control, 0, SENDER_ADDRESS)
        assert await sock.recvfrom(200) == (b"more", SENDER_ADDRESS)


NEXT: dict[str, tuple[Receive, Any]] = {
    "recv": (lambda sock: sock.recv(100), pattern(100)),
    "recv_into": (lambda sock: sock.recv_into(bytearray(100)), 100),
    "recvfrom": (lambda sock: sock.recvfrom(100), (pattern(100), SENDER_ADDRESS)),
    "recvfrom_into": (lambda sock: sock.recvfrom_into(bytearray(100)), (100, SENDER_ADDRESS)),
    "recvmsg_into": (
        lambda sock: sock.recvmsg_into([bytearray(50), bytearray(50)], 100),
        (100, [PKTINFO_PARSED], 0, SENDER_ADDRESS),
    ),
    "wsarecv": (lambda sock: wsarecv(sock, [bytearray(50), bytearray(50)]), (100, 0)),
    "recvfrom_many": (lambda sock: sock.recvfrom_many(9, 100), [(pattern(100), SENDER_ADDRESS)]),
    "recvmsg_many": (
        lambda sock: sock.recvmsg_many(9, 100, 100),
        [(pattern(100), [PKTINFO_PARSED], 0, SENDER_ADDRESS)],
    ),
}


@pytest.mark.parametrize("how", NEXT)
async def test_whatever_receives_next_gets_the_datagram_and_a_batch_nothing_else(
    simulation: Simulation, how: str
) -> None:
    receive, expected = NEXT[how]
    sock = simulation.datagrams()
    await receive_without_memory(
        simulation,
        lambda sock: sock.recvmsg(100, 100),
        lambda: sock.peer.send(pattern(100), SENDER, PKTINFO),
        UNPACK,
        sock=sock,
        pending=True,
    )
    sock.peer.send(b"more", SENDER)
    assert await receive(sock) == expected
    assert await sock.recv(100) == b"more"


CUT: dict[str, Receive] = {
    "recv": lambda sock: sock.recv(100),
    "recvfrom": lambda sock: sock.recvfrom(100),
    "recv_into": lambda sock: sock.recv_into(bytearray(100)),
}


@both_engines
@both_modes
@when
@pytest.mark.parametrize("how", CUT)
async def test_that_a_datagram_did_not_fit_is_not_forgotten(
    simulation: Simulation,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    pending: bool,
    made_here: bool,
    overlapped: bool,
) -> None:
    sock = simulation.datagrams(made_here=made_here)
    sock.peer.ifs_handles = overlapped
    # Of a call that fills a buffer, the error of the datagram has its beginning.
    name = "trio_wsarecv._engine.requests._truncated" if how == "recv_into" else UNPACK
    arrive = lambda: sock.peer.send(pattern(150), SENDER)  # noqa: E731
    for _ in range(2):
        await receive_without_memory(simulation, CUT[how], arrive, name, sock=sock, pending=pending)
        data, _, flags, address = await sock.recvmsg(200, 0, MsgFlag.MSG_PEEK)
        assert (data, flags, address) == (pattern(100), MsgFlag.MSG_TRUNC, SENDER_ADDRESS)
        with pytest.raises(OSError, match=r".") as caught:
            await sock.recv(200)
        assert winerror(caught.value) == WinsockError.WSAEMSGSIZE
        assert caught.value.partial == pattern(100)  # type: ignore[attr-defined]
        sock.peer.send(b"more")
        simulation.deliver_automatically()
        assert await sock.recv(100) == b"more"
        simulation._automatic = False


@both_engines
@both_modes
@when
@pytest.mark.parametrize("method", ["recvfrom_many", "recvmsg_many"])
async def test_a_batch_is_as_long_as_there_is_memory_and_the_error_comes_next(
    simulation: Simulation,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    pending: bool,
    made_here: bool,
    overlapped: bool,
) -> None:
    sock = simulation.datagrams(made_here=made_here)
    sock.peer.ifs_handles = overlapped
    memory_for = [2]

    async def receive(most: int) -> list[bytes]:
        return [data for data, *_ in await getattr(sock, method)(most, 100)]

    def arrive() -> None:
        for number in range(5):
            sock.peer.send(b"%d" % number, SENDER)

    unpack = Operation.unpack

    def unpack_or_fail(operation: Operation, nbytes: int) -> bytes:
        if not memory_for[0]:
            raise MemoryError
        memory_for[0] -= 1
        return unpack(operation, nbytes)

    monkeypatch.setattr(Operation, "unpack", unpack_or_fail)
    if not pending:
        arrive()
    call = await simulation.begin(receive, 9)
    if pending:
        arrive()
    await simulation.step()
    assert call.value == [b"0", b"1"]
    memory_for[0] = 99
    simulation.deliver_automatically()
    with pytest.raises(MemoryError):
        await receive(9)
    received: list[bytes] = []
    while len(received) < 3:
        received += await receive(9)
    assert received == [b"2", b"3", b"4"]


CALL = "trio_wsarecv._winsock.operation.Operation.receive_nonblocking"
ERROR = "trio_wsarecv._engine.winsock.winsock_error"


@both_engines
@both_modes
@when
@pytest.mark.parametrize("name", [CALL, ERROR])
@pytest.mark.parametrize("method", ["recvfrom_many", "recvmsg_many"])
async def test_whatever_fails_behind_the_first_is_for_the_next_call(
    simulation: Simulation,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    name: str,
    pending: bool,
    made_here: bool,
    overlapped: bool,
) -> None:
    sock = simulation.datagrams(made_here=made_here)
    sock.peer.ifs_handles = overlapped
    receive_nonblocking = Operation.receive_nonblocking

    def receive_or_fail(operation: Operation) -> int:
        if len(sock.peer.waiting) == 1:
            raise MemoryError
        return receive_nonblocking(operation)

    def arrive() -> None:
        for data in (b"0", b"1"):
            sock.peer.send(data, SENDER)
        if name == ERROR:
            sock.peer.send_error(NtStatus.PORT_UNREACHABLE)
        sock.peer.send(b"2", SENDER)

    with monkeypatch.context() as patch:
        if name == CALL:
            patch.setattr(Operation, "receive_nonblocking", receive_or_fail)
        else:
            patch.setattr(name, fail)
        if not pending:
            arrive()
        call = await simulation.begin(getattr(sock, method), 9, 100)
        if pending:
            arrive()
        await simulation.step()
    assert [data for data, *_ in call.value] == [b"0", b"1"]
    simulation.deliver_automatically()
    with pytest.raises(MemoryError):
        await getattr(sock, method)(9, 100)
    assert [data for data, *_ in await getattr(sock, method)(9, 100)] == [b"2"]


@both_engines
async def test_the_error_that_comes_next_keeps_nothing_alive(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, overlapped: bool
) -> None:
    sock = simulation.datagrams()
    sock.peer.ifs_handles = overlapped
    peer = sock.peer
    unpack = Operation.unpack
    for data in (b"0", b"1"):
        peer.send(data)

    def unpack_all_but_the_last(operation: Operation, nbytes: int) -> bytes:
        if not peer.waiting:
            raise MemoryError
        return unpack(operation, nbytes)

    with monkeypatch.context() as patch:
        patch.setattr(Operation, "unpack", unpack_all_but_the_last)
        assert await sock.recvfrom_many(9, 100) == [(b"0", None)]
    assert isinstance(sock.receiver.pushed_back.error, MemoryError)
    alive = weakref.ref(sock.stdlib)
    del sock
    gc.collect()
    assert alive() is None
    assert peer.handles == 0


async def test_an_error_that_came_with_bytes_comes_behind_them(simulation: Simulation) -> None:
    for sock in (simulation.stream(), simulation.datagrams()):
        await receive_without_memory(
            simulation,
            lambda sock: sock.recv(100),
            partial(sock.peer.end, NtStatus.CONNECTION_RESET, b"some"),
            UNPACK,
            sock=sock,
            pending=True,
        )
        assert await sock.recv(100) == b"some"
        with pytest.raises(ConnectionResetError):
            await sock.recv(100)
        sock.peer.send(b"more")
        simulation.deliver_automatically()
        assert await sock.recv(100) == b"more"
        simulation._automatic = False


@both_engines
@pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "datagrams"])
async def test_a_peek_pushes_nothing_back(
    simulation: Simulation, is_stream: bool, overlapped: bool
) -> None:
    sock = simulation.stream() if is_stream else simulation.datagrams()
    sock.peer.ifs_handles = overlapped
    sock.peer.send(b"data")
    peeks: list[tuple[Receive, str]] = [
        (lambda sock: sock.recv(100, MsgFlag.MSG_PEEK), UNPACK),
        (lambda sock: sock.recvfrom(100, MsgFlag.MSG_PEEK), UNPACK),
        (lambda sock: wsarecv(sock, [bytearray(100)], MsgFlag.MSG_PEEK), RESULT),
    ]
    for peek, name in peeks:
        with without_memory(name), pytest.raises(MemoryError):
            await peek(sock)
        assert not sock.receiver.pushed_back.something
        assert sock.peer.waiting in (b"data", [b"data"])
    simulation.deliver_automatically()
    assert await sock.recv(100) == b"data"
    assert not sock.peer.waiting


@both_engines
async def test_what_passes_bytes_that_were_left_does_not_overwrite_them(
    simulation: Simulation, overlapped: bool
) -> None:
    sock = simulation.stream()
    sock.peer.ifs_handles = overlapped
    await receive_without_memory(
        *(simulation, lambda sock: sock.recv(100), lambda: sock.peer.send(pattern(100)), UNPACK),
        sock=sock,
        pending=False,
    )
    sock.peer.send_urgent(b"!")
    simulation.deliver_automatically()
    assert await sock.recv(10, MsgFlag.MSG_OOB) == b"!"
    assert await sock.recv(100) == pattern(100)


async def test_out_of_band_data_is_pushed_back_as_any_other(simulation: Simulation) -> None:
    sock = simulation.stream()
    sock.peer.send_urgent(b"!")
    simulation.deliver_automatically()
    with without_memory(RESULT), pytest.raises(MemoryError):
        await wsarecv(sock, [bytearray(1)], MsgFlag.MSG_OOB)
    assert await sock.recv(10) == b"!"
