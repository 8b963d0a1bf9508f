"""Whether a completion packet follows a receive, and the wait for it."""

from __future__ import annotations

import itertools
import signal

import pytest
import trio
from trio.testing import MockClock

from tests.receiving import RECEIVES, Receive, every_receive, winerror
from tests.simulation import Simulation
from tests.simulation.behaviour import TooLong
from trio_wsarecv import WinsockError
from trio_wsarecv._winsock.codes import NtStatus


@every_receive
async def test_each_receive_is_one_overlapped_call_whether_data_waits_or_not(
    simulation: Simulation, receive: Receive
) -> None:
    sock = simulation.datagrams()
    for count, waits in enumerate((True, False, True, True, False), start=1):
        if waits:
            sock.peer.send(b"data")
        call = await simulation.begin(receive, sock)
        if not waits:
            sock.peer.send(b"data")
        await simulation.step()
        assert call.succeeded
        assert simulation.events == ["receive", "dequeue"] * count


# Of these one says that the receive waits, the other is answered by another call.
NO_REFUSALS = {WinsockError.WSA_IO_PENDING, WinsockError.WSAENOBUFS}
REFUSALS = [error for error in WinsockError if error not in NO_REFUSALS]


@pytest.mark.parametrize("left", [NtStatus.PENDING, None])
@pytest.mark.parametrize("error", REFUSALS)
async def test_a_receive_that_is_refused_waits_for_nothing(
    simulation: Simulation, error: WinsockError, left: NtStatus | None
) -> None:
    simulation.behave(left_by_failure=left)
    sock = simulation.stream()
    # The operation that is refused has served before.
    sock.peer.send(b"before")
    simulation.call(sock.recv, 100)
    await simulation.step()
    sock.peer.send(b"data")
    sock.peer.refusals.append(error)
    call = await simulation.begin(sock.recv, 100)
    assert winerror(call.error) == error
    again = simulation.call(sock.recv, 100)
    await simulation.step()
    assert again.value == b"data"


@pytest.mark.parametrize("left", [NtStatus.PENDING, None])
@every_receive
async def test_a_refusal_with_wsaemsgsize_waits_for_nothing(
    simulation: Simulation, receive: Receive, left: NtStatus | None
) -> None:
    simulation.behave(left_by_failure=left)
    sock = simulation.datagrams()
    first = await simulation.begin(receive, sock)
    sock.peer.send(b"data")
    await simulation.step()
    assert first.done
    sock.peer.refusals.append(WinsockError.WSAEMSGSIZE)
    second = await simulation.begin(receive, sock)
    assert winerror(second.error) == WinsockError.WSAEMSGSIZE


@pytest.mark.parametrize("left", [NtStatus.PENDING, None])
@pytest.mark.parametrize("method", ["recvmsg", "recvmsg_into"])
async def test_a_message_that_is_refused_waits_for_nothing_whatever_the_one_before_has_left(
    simulation: Simulation, method: str, left: NtStatus | None
) -> None:
    # After control data that did not fit, it is the very status that a packet would come of.
    simulation.behave(left_by_failure=left)
    sock = simulation.datagrams()
    for _ in range(2):
        first = await simulation.begin(RECEIVES[method], sock)
        sock.peer.end(NtStatus.BUFFER_OVERFLOW, b"data")
        await simulation.step()
        assert first.succeeded
        sock.peer.refusals.append(WinsockError.WSAEMSGSIZE)
        second = await simulation.begin(RECEIVES[method], sock)
        assert winerror(second.error) == WinsockError.WSAEMSGSIZE


@pytest.mark.parametrize("too_long", TooLong)
async def test_control_data_larger_than_all_that_was_foreseen_gets_its_packet(
    simulation: Simulation, too_long: TooLong
) -> None:
    # The one message that can still be reported inline as one that does not fit.
    simulation.behave(too_long=too_long)
    sock = simulation.datagrams()
    sock.peer.send(b"data", control=bytes(1000))
    call = await simulation.begin(sock.recvmsg, 10, 100)
    assert not call.done
    await simulation.step()
    data, *_ = call.value
    assert data == b"data"


async def test_trio_is_handed_handles_and_addresses_as_integers(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[tuple[type, type]] = []
    wait_overlapped = simulation.wait_overlapped

    async def recording(handle: int, lpOverlapped: int) -> object:
        handed.append((type(handle), type(lpOverlapped)))
        return await wait_overlapped(handle, lpOverlapped)

    monkeypatch.setattr(simulation, "wait_overlapped", recording)
    simulation.deliver_automatically()
    sock = simulation.stream()
    sock.peer.send(b"data")
    await sock.recv(4)
    assert handed == [(int, int)]


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("moment", ["submit", "wait", "cancel"])
def test_an_interrupt_waits_until_the_packet_is_in(simulation: Simulation, moment: str) -> None:
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


async def test_packets_reach_their_tasks_in_any_order(simulation: Simulation) -> None:
    sockets = [simulation.stream() for _ in range(3)]
    for order in itertools.permutations(range(3)):
        calls = [simulation.call(sock.recv, 100) for sock in sockets]
        await simulation.run()
        for number in order:
            sockets[number].peer.send(b"%d" % number)
        await simulation.step()
        assert [call.value for call in calls] == [b"0", b"1", b"2"]
