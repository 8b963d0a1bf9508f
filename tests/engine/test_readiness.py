"""Which engine a socket gets in a run; the readiness engine, which receives when it is readable."""

from __future__ import annotations

import gc
import logging
import socket
import weakref
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
import trio

from tests.peers import Counted, pattern
from tests.receiving import RECEIVES, SENDER, SENDER_ADDRESS, Receive
from tests.simulation import Simulation
from tests.simulation.behaviour import FlagsOut
from trio_wsarecv import MsgFlag, SocketStream, WinsockError, from_stdlib_socket, wsarecv
from trio_wsarecv._engine import choose, port
from trio_wsarecv._engine.choice import log_fallback
from trio_wsarecv._engine.choose import choose_engine
from trio_wsarecv._engine.claim import Claim
from trio_wsarecv._engine.memory import Run
from trio_wsarecv._engine.readiness import StdlibReadiness
from trio_wsarecv._winsock.calls import winsock_error

from .receives import stream_for, value_of

PEEK = MsgFlag.MSG_PEEK

refused = winsock_error(WinsockError.WSAEOPNOTSUPP)
FOREIGN_PORT = "associated with another completion port, or not overlapped"
#: What is done to a socket, and why readiness then serves it.
FALLBACKS: dict[str, tuple[Any, str]] = {
    "no IFS handles": (
        lambda sock: setattr(sock.peer, "ifs_handles", False),
        "the provider's handles are not handles of the file system",
    ),
    "unknown provider": (
        lambda sock: setattr(sock.stdlib, "getsockopt", Mock(side_effect=refused)),
        "Winsock does not say which provider the socket has",
    ),
    "not overlapped": (lambda sock: setattr(sock.peer, "overlapped_io", False), FOREIGN_PORT),
    "another port": (
        lambda sock: port.completion_port.register_with_iocp(sock.fileno()),
        FOREIGN_PORT,
    ),
}


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log of fallbacks, as in a new process."""
    log_fallback.cache_clear()
    with caplog.at_level(logging.INFO, "trio_wsarecv"):
        yield caplog
    log_fallback.cache_clear()


@pytest.mark.parametrize(("prepare", "reason"), FALLBACKS.values(), ids=FALLBACKS)
async def test_where_no_packet_can_come_readiness_serves(
    simulation: Simulation, log: pytest.LogCaptureFixture, prepare: Any, reason: str
) -> None:
    for _ in range(2):
        sock = simulation.stream()
        prepare(sock)
        counted = Counted()
        call = await simulation.begin(SocketStream(sock).receive_exactly, 4)
        sock.peer.send(b"da")
        await simulation.run()
        assert not call.done
        sock.peer.send(b"ta")
        await simulation.run()
        assert call.value == b"data"
        assert sock.engine == f"readiness: {reason}"
        assert (counted.overlapped_sockets, counted.readiness_sockets) == (0, 1)
    assert "receive" not in simulation.events
    (record,) = log.records
    assert (record.name, record.levelname) == ("trio_wsarecv", "INFO")
    assert record.getMessage() == f"received by readiness: {reason}"


def test_a_socket_belongs_to_the_run_in_which_it_was_first_received_on(
    simulation: Simulation, log: pytest.LogCaptureFixture
) -> None:
    sock = simulation.stream()
    counted = Counted()

    async def main(engine: str) -> None:
        simulation.deliver_automatically()
        for each, expected in (simulation.stream(), "overlapped"), (sock, engine):
            assert each.engine.startswith("none yet: ")
            for _ in range(2):
                each.peer.send(b"data")
                assert await each.recv(100) == b"data"
            assert each.engine.startswith(expected)

    for engine, count in ("overlapped", 0), ("readiness: ", 1):
        trio.run(main, engine)
        assert sock.engine.startswith("none yet: ")
        assert len(log.records) == count
    assert (counted.overlapped_sockets, counted.readiness_sockets) == (3, 1)
    assert simulation.events.count("receive") == 6
    sock.close()
    assert sock.engine == "none: it is closed"


@pytest.mark.parametrize("method", ["recv", "recv_into", "recvfrom", "recvfrom_into"])
async def test_a_class_of_sockets_that_receives_in_its_own_way_goes_on_doing_so(
    monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture, method: str
) -> None:
    calls: list[str] = []

    def noting(self: socket.socket, *arguments: Any) -> Any:
        calls.append(method)
        return getattr(super(own_class, self), method)(*arguments)

    # A program may have put it in this place before Trio was imported.
    own_class = type("OwnClass", (socket.socket,), {method: noting})
    monkeypatch.setattr(choose, "on_windows", True)
    monkeypatch.setattr(socket, "socket", own_class)
    one, other = socket.socketpair()
    with from_stdlib_socket(one) as sock, other:
        other.sendall(b"data")
        received = await RECEIVES[method](sock)
        assert received in (b"data", 4) or received[0] in (b"data", 4)
        assert calls == [method]
        assert sock.engine == "readiness: the socket's class receives in its own way"
    (record,) = log.records
    assert "in its own way" in record.getMessage()


async def test_winsock_serves_what_a_class_has_no_method_for(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    choose_engine(sock.stdlib, sock.receiver)
    pushed_back = sock.receiver.pushed_back
    sock.receiver.engine = StdlibReadiness(sock.stdlib, Run.current(), Claim(), pushed_back)
    sock.peer.send(b"data", SENDER)
    assert await sock.recvmsg(100) == (b"data", [], 0, SENDER_ADDRESS)


async def test_any_other_failure_to_associate_is_an_error(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int, /) -> None:
        raise simulation.kernel.error(8)  # ERROR_NOT_ENOUGH_MEMORY

    sock = simulation.stream()
    sock.peer.send(b"data")
    with monkeypatch.context() as patch:
        patch.setattr(simulation, "register_with_iocp", refuse)
        with pytest.raises(OSError, match=r".") as caught:
            await sock.recv(100)
    assert caught.value.winerror == 8  # type: ignore[attr-defined,unused-ignore]
    assert await sock.recv(100) == b"data"
    assert simulation.events == ["receive", "dequeue"]


async def test_a_socket_that_is_dropped_is_closed(simulation: Simulation) -> None:
    sock = simulation.stream()
    peer = sock.peer
    peer.send(b"data")
    assert await value_of(simulation, sock.recv, 100) == b"data"
    alive = weakref.ref(sock.stdlib)
    del sock
    gc.collect()
    assert alive() is None
    assert peer.handles == 0


# The readiness engine.


async def test_of_two_receives_woken_by_data_one_waits_again(simulation: Simulation) -> None:
    sock = stream_for(simulation, "readiness")
    counted = Counted()
    sockets = [sock, sock.dup()]
    calls = [simulation.call(each.recv, 100) for each in sockets]
    await simulation.run()
    sock.peer.send(b"one")
    await simulation.run()
    assert [call.done for call in calls].count(True) == 1
    sock.peer.send(b"two")
    await simulation.run()
    assert {call.value for call in calls} == {b"one", b"two"}
    assert counted.pended == 2
    for each in sockets:
        each.close()


async def test_a_receive_whose_socket_is_closed_before_its_task_runs_again(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sock = stream_for(simulation, "readiness")
    wait_readable = trio.lowlevel.wait_readable

    async def wait_and_close(readable: Any) -> None:
        await wait_readable(readable)
        readable.close()

    monkeypatch.setattr(trio.lowlevel, "wait_readable", wait_and_close)
    call = await simulation.begin(wsarecv, sock, [bytearray(8)], MsgFlag.MSG_WAITALL)
    sock.peer.send(b"data")
    await simulation.run()
    assert isinstance(call.error, trio.ClosedResourceError)
    assert not sock.receiver.pushed_back.something


PEEKS: dict[str, Receive] = {
    "recv": lambda sock: sock.recv(10, PEEK),
    "recv_into": lambda sock: sock.recv_into(bytearray(10), 10, PEEK),
    "recvfrom": lambda sock: sock.recvfrom(10, PEEK),
    "recvmsg": lambda sock: sock.recvmsg(10, 0, PEEK),
    "wsarecv": lambda sock: wsarecv(sock, [bytearray(10)], PEEK),
}


@pytest.mark.parametrize("flags_out", FlagsOut)
@pytest.mark.parametrize("kind", PEEKS)
async def test_a_peek_that_has_to_wait_takes_nothing(
    simulation: Simulation, kind: str, flags_out: FlagsOut
) -> None:
    # The flag is set again for each attempt, since a call may clear it.
    simulation.behave(flags_out=flags_out)
    sock = simulation.stream()
    call = await simulation.begin(PEEKS[kind], sock)
    assert not call.done
    sock.peer.send(b"data")
    await simulation.run()
    assert call.succeeded
    assert sock.peer.waiting == b"data"


async def test_a_peek_tells_that_a_datagram_does_not_fit(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    sock.peer.send(b"0123456789")
    for _ in range(2):
        assert await wsarecv(sock, [bytearray(4)], PEEK) == (4, MsgFlag.MSG_TRUNC)


async def test_peeking_leaves_the_data_where_it_is_and_is_not_overlapped(
    simulation: Simulation, log: pytest.LogCaptureFixture, made_here: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    counted = Counted()
    sock.peer.send(pattern(5000))
    for nbytes in (2, 5000, 10_000, 2):
        assert await sock.recv(nbytes, PEEK) == pattern(5000)[:nbytes]
    buffers = [bytearray(1), bytearray(8)]
    assert await wsarecv(sock, buffers, PEEK) == (9, 0)
    assert b"".join(buffers) == pattern(9)
    assert "receive" not in simulation.events
    assert sock.engine == "overlapped"
    (record,) = log.records
    assert "MSG_PEEK" in record.getMessage()
    assert counted.bytes == 0
    simulation.deliver_automatically()
    assert await SocketStream(sock).receive_exactly(5000) == pattern(5000)
    sock.peer.send_end()
    for _ in range(2):
        assert await sock.recv(10, PEEK) == b""
    assert await sock.recv(10) == b""
