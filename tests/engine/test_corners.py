"""What happens rarely: another run, what an exception leaves, surprises from Winsock."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.datagrams import bound
from tests.peers import stdlib_pair
from tests.receiving import SENDER, SENDER_ADDRESS, winerror
from tests.simulation import Simulation
from trio_wsarecv import MsgFlag, SocketStream, WinsockError, from_stdlib_socket, wsarecv
from trio_wsarecv._engine import messages, requests
from trio_wsarecv._engine.choice import Choice
from trio_wsarecv._engine.choose import choose_engine
from trio_wsarecv._engine.claim import Claim
from trio_wsarecv._engine.memory import Run
from trio_wsarecv._engine.readiness import StdlibReadiness
from trio_wsarecv._winsock.datagram import DatagramOperation
from trio_wsarecv._winsock.operation import Operation
from trio_wsarecv._winsock.status import Mode


@pytest.mark.parametrize("way", ["memory", "buffer", "buffers"])
async def test_what_an_exception_has_left_exported_is_released_by_the_next_receive(
    simulation: Simulation, way: str
) -> None:
    for operation in (Operation(1), DatagramOperation(1, Mode.DEFAULT)):
        buffer = bytearray(10)
        operation.set_buffer(buffer, 0, 10, 0)
        if way == "memory":
            operation.set_memory(10, 0)
        elif way == "buffer":
            operation.set_buffer(bytearray(10), 0, 10, 0)
        else:
            operation.set_buffers([bytearray(10), bytearray(10)], 0, 10, 0)
        buffer.append(0)  # which an export would forbid
        operation.release()


@pytest.mark.abandons
async def test_shutting_down_a_socket_cancels_no_receive_that_was_abandoned(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    simulation.driver = None  # since this test plays the run loop
    simulation.behave(prompt=False)
    receive: Any = sock.recv(100)
    receive.send(None)
    receive.close()
    events = simulation.events
    sock.shutdown(socket.SHUT_RD)
    assert simulation.events == events


class Stop(Exception):
    """What a signal handler raises."""


@pytest.mark.abandons
async def test_a_recovery_in_a_run_that_crashes_abandons_the_operation(
    simulation: Simulation,
) -> None:
    simulation.behave(prompt=False)
    sock = simulation.stream()
    simulation.driver = None

    def interrupt() -> None:
        simulation.on_wait = lambda: None
        raise Stop

    simulation.on_wait = interrupt
    receive: Any = sock.recv(100)
    receive.send(None)
    receive.close()
    (request,) = simulation.kernel.outstanding.values()
    assert not request.done
    sock.close()


async def keep_a_datagram(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> Any:
    sock = simulation.datagrams()
    simulation.deliver_automatically()
    sock.peer.send(b"0123456789", SENDER)
    with monkeypatch.context() as patch:
        patch.setattr(DatagramOperation, "unpack", lambda *_: fail())
        with pytest.raises(MemoryError):
            await sock.recv(100)
    return sock


def fail() -> bytes:
    raise MemoryError


async def test_a_datagram_that_was_kept_and_does_not_fit_is_truncated(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sock = await keep_a_datagram(simulation, monkeypatch)
    for flags in (MsgFlag.MSG_PEEK, MsgFlag(0)):
        with pytest.raises(OSError, match=r".") as caught:
            await sock.recv(4, flags)
        assert winerror(caught.value) == WinsockError.WSAEMSGSIZE
        assert caught.value.partial == b"0123"  # type: ignore[attr-defined]
    assert not sock.receiver.pushed_back.something


async def test_without_memory_a_datagram_for_many_buffers_is_kept(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sock = simulation.datagrams()
    simulation.deliver_automatically()
    sock.peer.send(b"0123456789", SENDER)
    with monkeypatch.context() as patch:
        patch.setattr(messages, "_spread", lambda *_: fail())
        with pytest.raises(MemoryError):
            await wsarecv(sock, [bytearray(1) for _ in range(2000)])
    assert await sock.recvfrom(100) == (b"0123456789", SENDER_ADDRESS)


@pytest.mark.parametrize("ifs_handles", [True, False])
async def test_where_wsarecvmsg_fails_readiness_does_without_it_too(
    simulation: Simulation, ifs_handles: bool
) -> None:
    simulation.behave(message_faults=True)
    simulation.deliver_automatically()
    sock = simulation.datagrams()
    sock.peer.ifs_handles = ifs_handles
    sock.peer.send(b"data", SENDER)
    assert await sock.recvmsg(100) == (b"data", [], 0, SENDER_ADDRESS)


async def test_what_a_class_of_the_programs_has_no_call_for_is_winsocks(
    simulation: Simulation,
) -> None:
    sock = simulation.datagrams()
    choose_engine(sock.stdlib, sock.receiver)
    sock.receiver.engine = StdlibReadiness(
        sock.stdlib, Run.current(), Claim(), sock.receiver.pushed_back
    )
    sock.receiver.choice = Choice.OVERRIDDEN
    sock.peer.send(b"data", SENDER)
    assert await sock.recvmsg(100) == (b"data", [], 0, SENDER_ADDRESS)


@pytest.mark.skipif(not hasattr(socket.socket, "recvmsg"), reason="needs POSIX")
async def test_without_memory_nothing_is_lost_by_the_standard_library_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with stdlib_pair() as (one, other), from_stdlib_socket(one) as sock:
        for flags, left in ((0, b"data"), (socket.MSG_PEEK, b"")):
            other.send(b"data")
            with monkeypatch.context() as patch:
                patch.setattr(requests.Bytes, "complete", lambda *_: fail())
                with pytest.raises(MemoryError):
                    await sock.recv(100, flags)
            assert sock.receiver.pushed_back.data == left
            assert await SocketStream(sock).receive_exactly(4) == b"data"
    with from_stdlib_socket(bound()) as sock, bound() as sender:
        sender.sendto(b"data", sock.getsockname())
        with monkeypatch.context() as patch:
            patch.setattr(requests.BytesFrom, "complete", lambda *_: fail())
            with pytest.raises(MemoryError):
                await sock.recvfrom(100)
        assert await sock.recvfrom(100) == (b"data", sender.getsockname())
