"""Which engine a socket gets in a run."""

from __future__ import annotations

import gc
import logging
import socket
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
import trio

from tests.peers import Counted
from tests.receiving import RECEIVES, SENDER, SENDER_ADDRESS
from tests.simulation import Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import MsgFlag, SocketStream, WinsockError, from_stdlib_socket
from trio_wsarecv._engine import choose, port
from trio_wsarecv._engine.choice import log_fallback
from trio_wsarecv._engine.choose import choose_engine
from trio_wsarecv._engine.claim import Claim
from trio_wsarecv._engine.memory import Run
from trio_wsarecv._engine.readiness import StdlibReadiness
from trio_wsarecv._winsock.calls import winsock_error

from .receives import value_of


def without_ifs_handles(sock: SocketOverSimulation) -> None:
    sock.peer.ifs_handles = False


def not_overlapped(sock: SocketOverSimulation) -> None:
    sock.peer.overlapped_io = False


def of_an_unknown_provider(sock: SocketOverSimulation) -> None:
    def refuse(level: int, option: int, size: int = 0) -> NoReturn:
        raise winsock_error(WinsockError.WSAEOPNOTSUPP)

    sock.stdlib.getsockopt = refuse  # type: ignore[method-assign]


def of_another_port(sock: SocketOverSimulation) -> None:
    port.completion_port.register_with_iocp(sock.fileno())


FALLBACKS = {
    without_ifs_handles: "the provider's handles are not handles of the file system",
    of_an_unknown_provider: "Winsock does not say which provider the socket has",
    not_overlapped: "associated with another completion port, or not overlapped",
    of_another_port: "associated with another completion port, or not overlapped",
}


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log of fallbacks, as in a new process."""
    log_fallback.cache_clear()
    with caplog.at_level(logging.INFO, "trio_wsarecv"):
        yield caplog
    log_fallback.cache_clear()


@pytest.mark.parametrize(("make", "reason"), FALLBACKS.items())
async def test_where_no_packet_can_come_readiness_serves(
    simulation: Simulation,
    log: pytest.LogCaptureFixture,
    make: Callable[[SocketOverSimulation], None],
    reason: str,
) -> None:
    for _ in range(2):
        sock = simulation.stream()
        make(sock)
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


async def test_a_peek_is_by_readiness_and_logged_once(
    simulation: Simulation, log: pytest.LogCaptureFixture
) -> None:
    sock = simulation.stream()
    sock.peer.send(b"data")
    for _ in range(2):
        assert await sock.recv(100, MsgFlag.MSG_PEEK) == b"data"
    assert "receive" not in simulation.events
    assert sock.engine == "overlapped"
    (record,) = log.records
    assert "MSG_PEEK" in record.getMessage()


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
