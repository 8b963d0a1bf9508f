"""One task at a time receives on a socket, and each receive is a checkpoint."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing
from trio.testing import assert_checkpoints

from tests.receiving import (
    RECEIVES,
    SENDER,
    SENDER_ADDRESS,
    every_receive,
    result_of,
    winerror,
)
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import MsgFlag, SocketStream, WinsockError, wsarecv
from trio_wsarecv._winsock.codes import NtStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.receiving import Receive
    from tests.simulation import Call, Simulation

PEEK, WAITALL = MsgFlag.MSG_PEEK, MsgFlag.MSG_WAITALL

STREAM_RECEIVES: dict[str, Receive] = {
    "recv": lambda sock: sock.recv(100),
    "recv, peeking": lambda sock: sock.recv(100, PEEK),
    "recv_into": lambda sock: sock.recv_into(bytearray(100)),
    "receive_some": lambda sock: SocketStream(sock).receive_some(),
    "receive_into": lambda sock: SocketStream(sock).receive_into(bytearray(100)),
    "receive_exactly": lambda sock: SocketStream(sock).receive_exactly(4),
    "receive_exactly_into": lambda sock: SocketStream(sock).receive_exactly_into(bytearray(4)),
    "wsarecv": lambda sock: wsarecv(sock, [bytearray(2), bytearray(2)], WAITALL),
}
every_stream_receive = pytest.mark.parametrize(
    "receive", STREAM_RECEIVES.values(), ids=STREAM_RECEIVES
)


async def check_busy(sock: SocketOverSimulation) -> None:
    """Check that nobody else gets in."""
    for receive in STREAM_RECEIVES.values():
        with pytest.raises(trio.BusyResourceError):
            await receive(sock)
    with pytest.raises(trio.BusyResourceError):
        sock.detach()


@every_stream_receive
async def test_a_second_receive_is_refused_while_one_waits(
    simulation: Simulation, receive: Receive
) -> None:
    sock = simulation.stream()
    first = await simulation.begin(receive, sock)
    events = simulation.events
    await check_busy(sock)
    assert simulation.events == events
    sock.peer.send(b"data")
    await simulation.step()
    assert first.succeeded


async def test_a_second_receive_is_refused_until_the_first_task_has_been_woken(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    first = await simulation.begin(sock.recv, 100)
    sock.peer.send(b"one")
    assert not simulation.in_kernel(sock)
    await check_busy(sock)
    simulation.deliver()
    second = await simulation.begin(sock.recv, 100)
    assert first.value == b"one"
    assert not second.done
    sock.peer.send(b"two")
    await simulation.step()
    assert second.value == b"two"


@every_receive
async def test_of_two_receives_in_the_same_moment_that_have_to_wait_one_is_refused(
    simulation: Simulation, receive: Receive
) -> None:
    sock = simulation.datagrams()
    calls = [simulation.call(receive, sock) for _ in range(2)]
    await simulation.run()
    assert len(sock.peer.requests) == 1
    sock.peer.send(b"data")
    await simulation.step()
    (busy,) = [call for call in calls if not call.succeeded]
    assert isinstance(busy.error, trio.BusyResourceError)


# A second receive waits for its turn where the first one is as good as over.

ONE, TWO, THREE = (bytes([octet]) * 100 for octet in b"123")

every_method = pytest.mark.parametrize("method", RECEIVES)
both_kinds = pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "datagrams"])
both_engines = pytest.mark.parametrize("overlapped", [True, False], ids=["overlapped", "readiness"])


class Receiving:
    """A socket, and receives on it, all by the same method."""

    def __init__(
        self, simulation: Simulation, method: str, *, is_stream: bool, overlapped: bool
    ) -> None:
        self.simulation = simulation
        self.method = method
        self.sock = simulation.stream() if is_stream else simulation.datagrams()
        self.sock.peer.ifs_handles = overlapped

    async def receive(self) -> Any:
        return await RECEIVES[self.method](self.sock)

    def arrive(self, data: bytes) -> None:
        peer = self.sock.peer
        peer.send(data) if peer.is_stream else peer.send(data, SENDER)

    def is_result(self, call: Call, data: bytes) -> bool:
        address = None if self.sock.peer.is_stream else SENDER_ADDRESS
        return bool(call.value == result_of(self.method, data, address))

    def hold(self, scope: trio.CancelScope) -> None:
        """Cancel a receive that waits, whose end is left for later."""
        self.simulation.behave(prompt=False)
        scope.cancel()


@both_engines
@both_kinds
@every_method
async def test_a_receive_behind_one_that_was_cancelled_is_not_refused(
    simulation: Simulation, method: str, is_stream: bool, overlapped: bool
) -> None:
    receiving = Receiving(simulation, method, is_stream=is_stream, overlapped=overlapped)
    first = await simulation.begin(receiving.receive)
    receiving.hold(first.scope)
    second = await simulation.begin(receiving.receive)
    assert first.done is not overlapped
    assert not second.done
    simulation.behave(prompt=True)
    await simulation.step()
    assert first.cancelled
    assert not second.done
    receiving.arrive(ONE)
    await simulation.step()
    assert receiving.is_result(second, ONE)


@both_engines
@both_kinds
@every_method
async def test_a_receive_behind_one_that_has_its_data_is_not_refused(
    simulation: Simulation, method: str, is_stream: bool, overlapped: bool
) -> None:
    receiving = Receiving(simulation, method, is_stream=is_stream, overlapped=overlapped)
    for _ in range(5):  # since Trio runs the two in either order
        first = await simulation.begin(receiving.receive)
        receiving.arrive(ONE)
        simulation.deliver()
        second = await simulation.begin(receiving.receive)
        assert receiving.is_result(first, ONE)
        assert not second.done
        receiving.arrive(TWO)
        await simulation.step()
        assert receiving.is_result(second, TWO)


@both_engines
@both_kinds
@every_method
async def test_receives_whose_data_is_there_are_not_refused_and_come_in_order(
    simulation: Simulation, method: str, is_stream: bool, overlapped: bool
) -> None:
    receiving = Receiving(simulation, method, is_stream=is_stream, overlapped=overlapped)
    # The receive that all others are behind.
    first = await simulation.begin(receiving.receive)
    receiving.hold(first.scope)
    others = []
    for data in (ONE, TWO, THREE):
        others.append(simulation.call(receiving.receive))
        await trio.testing.wait_all_tasks_blocked()
        receiving.arrive(data)
    simulation.behave(prompt=True)
    await simulation.step()
    assert first.cancelled
    for call, data in zip(others, (ONE, TWO, THREE), strict=True):
        assert receiving.is_result(call, data)


@pytest.mark.parametrize("made_here", [False, True], ids=["default", "skip mode"])
@both_kinds
@every_method
async def test_of_two_receives_in_the_same_moment_both_get_data_that_is_there(
    simulation: Simulation, method: str, is_stream: bool, made_here: bool
) -> None:
    receiving = Receiving(simulation, method, is_stream=is_stream, overlapped=True)
    receiving.sock.receiver.made_here = made_here
    for _ in range(5):  # since Trio runs the two in either order
        receiving.arrive(ONE)
        receiving.arrive(TWO)
        one, two = (simulation.call(receiving.receive) for _ in range(2))
        await simulation.step()
        if not receiving.is_result(one, ONE):
            one, two = two, one
        assert receiving.is_result(one, ONE)
        assert receiving.is_result(two, TWO)


class ArrivesWhenTrioLooks(trio.abc.Instrument):
    """Has something come in when Trio asks the system the next time for what has happened."""

    def __init__(self, arrive: Callable[[], object]) -> None:
        self._arrive = arrive

    def after_io_wait(self, timeout: float) -> None:
        trio.lowlevel.remove_instrument(self)
        self._arrive()


@both_engines
@both_kinds
async def test_a_receive_that_finds_another_waiting_has_trio_look_for_its_packet(
    simulation: Simulation, is_stream: bool, overlapped: bool
) -> None:
    receiving = Receiving(simulation, "recv", is_stream=is_stream, overlapped=overlapped)
    first = await simulation.begin(receiving.receive)

    def arrive() -> None:
        receiving.arrive(ONE)
        receiving.arrive(TWO)
        simulation.deliver()

    async def receive_just_before() -> Any:
        trio.lowlevel.add_instrument(ArrivesWhenTrioLooks(arrive))
        return await receiving.receive()

    second = simulation.call(receive_just_before)
    await simulation.step()
    assert first.value == ONE
    assert second.value == TWO


@pytest.mark.parametrize("data", [b"", ONE], ids=["nothing", "data"])
@both_kinds
@every_method
async def test_a_receive_that_was_cancelled_in_line_gives_what_is_there_when_its_turn_comes(
    simulation: Simulation, method: str, is_stream: bool, data: bytes
) -> None:
    # So does one whose deadline is too short for the turn of the one before.
    receiving = Receiving(simulation, method, is_stream=is_stream, overlapped=True)
    first = await simulation.begin(receiving.receive)
    receiving.hold(first.scope)
    second = await simulation.begin(receiving.receive)
    second.scope.cancel()
    await simulation.run()
    assert not second.done
    if data:
        receiving.arrive(data)
    simulation.behave(prompt=True)
    await simulation.step()
    assert first.cancelled
    if data:
        assert receiving.is_result(second, data)
    else:
        assert second.cancelled


@both_engines
@both_kinds
@every_method
async def test_those_in_line_are_refused_when_the_one_before_them_has_to_wait(
    simulation: Simulation, method: str, is_stream: bool, overlapped: bool
) -> None:
    receiving = Receiving(simulation, method, is_stream=is_stream, overlapped=overlapped)
    first = await simulation.begin(receiving.receive)
    receiving.hold(first.scope)
    others = [simulation.call(receiving.receive) for _ in range(3)]
    simulation.behave(prompt=True)
    await simulation.step()
    assert first.cancelled
    busy = [call for call in others if call.done]
    (waits,) = [call for call in others if not call.done]
    assert [type(call.error) for call in busy] == [trio.BusyResourceError] * 2
    receiving.arrive(ONE)
    await simulation.step()
    assert receiving.is_result(waits, ONE)


@both_engines
@pytest.mark.parametrize("kind", ["receive_exactly", "MSG_WAITALL"])
async def test_those_in_line_are_refused_when_a_receive_waits_for_its_next_part(
    simulation: Simulation, kind: str, overlapped: bool
) -> None:
    sock = simulation.stream()
    sock.peer.ifs_handles = overlapped
    buffer = bytearray(8)
    for _ in range(5):  # since Trio runs the two in either order
        if kind == "receive_exactly":
            call = simulation.call(SocketStream(sock).receive_exactly_into, buffer)
        else:
            call = simulation.call(wsarecv, sock, [buffer], WAITALL)
        await simulation.run()
        sock.peer.send(b"data")
        simulation.deliver()
        second = await simulation.begin(sock.recv, 100)
        assert isinstance(second.error, trio.BusyResourceError)
        assert not call.done
        sock.peer.send(b"more")
        await simulation.step()
        assert call.succeeded
        assert buffer == b"datamore"


@both_engines
@both_kinds
@every_method
async def test_on_a_closed_socket_a_receive_is_told_so_whoever_else_receives(
    simulation: Simulation, method: str, is_stream: bool, overlapped: bool
) -> None:
    receiving = Receiving(simulation, method, is_stream=is_stream, overlapped=overlapped)
    first = await simulation.begin(receiving.receive)
    simulation.behave(prompt=False)
    receiving.sock.close()
    others = [simulation.call(receiving.receive) for _ in range(2)]
    await simulation.run()
    for call in others:
        assert winerror(call.error) == WinsockError.WSAENOTSOCK
    await simulation.step()
    assert isinstance(first.error, trio.ClosedResourceError)


@both_kinds
@every_method
async def test_those_in_line_are_told_when_the_socket_is_closed(
    simulation: Simulation, method: str, is_stream: bool
) -> None:
    receiving = Receiving(simulation, method, is_stream=is_stream, overlapped=True)
    first = await simulation.begin(receiving.receive)
    receiving.hold(first.scope)
    others = [simulation.call(receiving.receive) for _ in range(3)]
    await simulation.run()
    receiving.arrive(ONE)
    receiving.sock.close()
    await simulation.step()
    assert first.cancelled
    assert [type(call.error) for call in others] == [trio.ClosedResourceError] * 3
    assert simulation.events.count("receive") == 1
    assert receiving.sock.peer.handles == 0


async def test_those_in_line_receive_what_a_cancelled_exact_receive_has_left(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    exact = await simulation.begin(SocketStream(sock).receive_exactly, 10)
    sock.peer.send(b"data")
    await simulation.step()
    simulation.behave(prompt=False)
    exact.scope.cancel()
    others = []
    for _ in range(2):
        others.append(simulation.call(sock.recv, 2))
        await simulation.run()
    await simulation.step()
    assert exact.cancelled
    assert [call.value for call in others] == [b"da", b"ta"]


async def test_a_handle_can_be_detached_behind_a_receive_that_is_as_good_as_over(
    simulation: Simulation,
) -> None:
    for ending in ("data", "cancelled"):
        sock = simulation.stream()
        call = await simulation.begin(sock.recv, 100)
        if ending == "data":
            sock.peer.send(b"data")
            simulation.deliver()
        else:
            simulation.behave(prompt=False)
            call.scope.cancel()
        handle = sock.fileno()
        assert sock.stdlib.fileno() == handle
        assert sock.detach() == handle
        await simulation.step()
        assert call.cancelled is (ending == "cancelled")
        assert call.cancelled or call.value == b"data"
        simulation.kernel.close_handle(handle)


@pytest.mark.parametrize("kind", ["receive_exactly", "MSG_WAITALL"])
async def test_nobody_gets_in_between_two_parts_of_one_receive(
    simulation: Simulation, kind: str
) -> None:
    sock = simulation.stream()
    buffer = bytearray(8)
    if kind == "receive_exactly":
        call = simulation.call(SocketStream(sock).receive_exactly_into, buffer)
    else:
        call = simulation.call(wsarecv, sock, [buffer], WAITALL)
    await simulation.run()
    sock.peer.send(b"data")
    assert not simulation.in_kernel(sock)
    await check_busy(sock)
    await simulation.step()
    await check_busy(sock)
    sock.peer.send(b"more")
    await simulation.step()
    assert call.succeeded
    assert buffer == b"datamore"


async def test_nobody_gets_in_before_an_aborted_receive_is_repeated(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    call = await simulation.begin(sock.recv, 100)
    sock.peer.end(NtStatus.CANCELLED)
    await check_busy(sock)
    await simulation.step()
    sock.peer.send(b"data")
    await simulation.step()
    assert call.value == b"data"


async def test_of_two_that_want_pushed_back_bytes_each_gets_its_own_or_is_refused(
    simulation: Simulation,
) -> None:
    for _ in range(10):  # since Trio runs the two in either order
        sock = simulation.stream()
        sock.receiver.pushed_back.add(b"01")
        some = simulation.call(sock.recv, 3)
        exact = await simulation.begin(SocketStream(sock).receive_exactly, 4)
        sock.peer.send(b"2345")
        await simulation.step()
        if not some.succeeded:
            assert isinstance(some.error, trio.BusyResourceError)
            assert exact.value == b"0123"
        elif not exact.succeeded:
            assert isinstance(exact.error, trio.BusyResourceError)
            assert some.value == b"01"
        else:
            assert (some.value, exact.value) == (b"01", b"2345")


@pytest.mark.parametrize(
    "ending", ["data", "end", "cancelled", "refused", "without memory", "reset", "aborted"]
)
async def test_however_a_receive_ends_the_next_gets_in(simulation: Simulation, ending: str) -> None:
    sock = simulation.stream()
    for _ in range(2):
        if ending == "refused":
            sock.peer.refusals.append(WinsockError.WSAENETDOWN)
        elif ending == "without memory":
            sock.peer.refusals.extend([WinsockError.WSAENOBUFS] * 2)
        call = await simulation.begin(sock.recv, 100)
        if ending == "data":
            sock.peer.send(b"data")
        elif ending == "end":
            sock.peer.end(NtStatus.SUCCESS)
        elif ending == "cancelled":
            call.scope.cancel()
        elif ending == "reset":
            sock.peer.end(NtStatus.CONNECTION_RESET)
        elif ending == "aborted":
            sock.peer.end(NtStatus.CANCELLED, b"data")
        await simulation.step()
        assert call.done
    sock.peer.send(b"data")
    again = simulation.call(sock.recv, 100)
    await simulation.step()
    assert again.value == b"data"


async def test_wrappers_of_one_socket_share_the_claim(simulation: Simulation) -> None:
    sock = simulation.stream()
    other = SocketOverSimulation(sock.stdlib)
    call = await simulation.begin(sock.recv, 100)
    await check_busy(other)
    other.close()
    await simulation.step()
    assert isinstance(call.error, trio.ClosedResourceError)


@pytest.mark.parametrize("made_here", [False, True])
async def test_every_receive_is_a_checkpoint(simulation: Simulation, made_here: bool) -> None:
    simulation.deliver_automatically()
    sock = simulation.stream(made_here=made_here)
    sock.receiver.pushed_back.add(b"at hand")
    with assert_checkpoints():
        assert await sock.recv(100) == b"at hand"
    for receive in STREAM_RECEIVES.values():
        sock.peer.send(b"data")
        with assert_checkpoints():
            await receive(sock)
    calls: list[tuple[Any, Any]] = [
        (sock.recv, 0),
        (SocketStream(sock).receive_exactly, 0),
        (SocketStream(sock).receive_into, bytearray()),
    ]
    sock.peer.send(b"data")
    for function, argument in calls:
        with assert_checkpoints():
            await function(argument)
    for error in (WinsockError.WSAENETDOWN, WinsockError.WSAECONNRESET):
        sock.peer.refusals.append(error)
        with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
            await sock.recv(100)
        assert winerror(caught.value) == error


async def test_tasks_that_take_turns_receive_in_order(simulation: Simulation) -> None:
    simulation.deliver_automatically()
    sock = simulation.stream()
    for number, receive in zip(range(20), itertools.cycle((100, 1)), strict=False):
        sock.peer.send(b"%d," % number)
        received = b""
        while not received.endswith(b","):
            received += await sock.recv(receive)
        assert received == b"%d," % number
