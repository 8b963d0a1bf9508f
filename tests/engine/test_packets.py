"""Whether a completion packet follows a receive, and the wait for it."""

from __future__ import annotations

import signal
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from tests.receiving import (
    RECEIVES,
    Receive,
    every_receive,
    winerror,
)
from tests.simulation import Call, CancelAnswer, Simulation
from trio_wsarecv import WinsockError
from trio_wsarecv._engine import port
from trio_wsarecv._winsock.codes import NtStatus
from trio_wsarecv._winsock.operation import Operation, State

from .receives import both_kinds, receive_when


@every_receive
async def test_each_receive_is_one_overlapped_call(
    simulation: Simulation, receive: Receive
) -> None:
    sock = simulation.datagrams()
    for count, pending in enumerate((False, True, False, False, True), start=1):
        call = await receive_when(
            simulation, pending, lambda: sock.peer.send(b"data"), receive, sock
        )
        assert call.succeeded
        assert simulation.events == ["receive", "dequeue"] * count


# One of these means that the receive waits; the other is answered by another call.
NO_REFUSALS = {WinsockError.WSA_IO_PENDING, WinsockError.WSAENOBUFS}
REFUSALS = [error for error in WinsockError if error not in NO_REFUSALS]


@pytest.mark.parametrize("left", [NtStatus.PENDING, None])
@both_kinds
@pytest.mark.parametrize("method", RECEIVES)
async def test_a_receive_that_is_refused_waits_for_nothing(
    simulation: Simulation, method: str, is_stream: bool, left: NtStatus | None
) -> None:
    simulation.behave(left_by_failure=left)
    sock = simulation.stream() if is_stream else simulation.datagrams()
    # A message may leave a status in its operation with which a packet would follow WSAEMSGSIZE.
    is_message = method.startswith("recvmsg") and not is_stream
    status = NtStatus.BUFFER_OVERFLOW if is_message else NtStatus.SUCCESS

    async def receive() -> Call:
        arrive = partial(sock.peer.end, status, b"data")
        return await receive_when(simulation, True, arrive, RECEIVES[method], sock)

    for error in REFUSALS:
        assert (await receive()).succeeded
        sock.peer.refusals.append(error)
        refused = await simulation.begin(RECEIVES[method], sock)
        assert winerror(refused.error) == error
    assert (await receive()).succeeded


async def test_trio_is_given_handles_and_addresses_as_integers(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[type, type]] = []
    wait_overlapped = simulation.wait_overlapped

    async def recording(handle: int, lpOverlapped: int) -> object:
        given.append((type(handle), type(lpOverlapped)))
        return await wait_overlapped(handle, lpOverlapped)

    monkeypatch.setattr(simulation, "wait_overlapped", recording)
    sock = simulation.stream()
    sock.peer.send(b"data")
    await sock.recv(4)
    assert given == [(int, int)]


@pytest.mark.parametrize("moment", ["submit", "wait", "cancel"])
def test_a_keyboard_interrupt_waits_for_the_packet(simulation: Simulation, moment: str) -> None:
    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)

    async def main() -> None:
        sock = simulation.stream()
        simulation.deliver_automatically()
        if moment == "submit":
            simulation.ws2_32.on_call = interrupt
        elif moment == "wait":
            simulation.on_wait = interrupt
        else:
            simulation.kernel32.on_call = interrupt
        with trio.move_on_after(1):
            await sock.recv(100)
        await trio.lowlevel.checkpoint()

    with pytest.raises(KeyboardInterrupt):
        trio.run(main, clock=MockClock(autojump_threshold=0))
    simulation.check_quiet()


async def test_the_end_of_the_stream_is_not_pushed_back(simulation: Simulation) -> None:
    def interrupt() -> None:
        simulation.on_wait = lambda: None
        raise ZeroDivisionError  # as a signal handler may

    sock = simulation.stream()
    simulation.behave(prompt=False, cancel=CancelAnswer.COMPLETES)
    simulation.on_wait = interrupt
    call = await simulation.begin(sock.recv, 100)
    sock.peer.send_end()
    await simulation.step()
    assert isinstance(call.error, ZeroDivisionError)
    assert not sock.receiver.pushed_back.something
    assert await sock.recv(100) == b""


async def test_a_woken_task_does_not_wait_for_the_packet_again(simulation: Simulation) -> None:
    operation = Operation(1)
    operation.state = State.AWAITED
    trio.lowlevel.current_task().custom_sleep_data = None  # as Trio does when it wakes a task
    assert await port.recover(operation)
    assert operation.state is State.COMPLETED
