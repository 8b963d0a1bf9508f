"""The engine in every order of events that Hypothesis can think of, on the simulation.

An example is a list of steps: what the program, the peer, the kernel and Trio do, one after the
other.  However they come, what the program receives is what the peer sent as far as it got, and
nothing that would be the end of a real run happens.

A failure is printed with a line ``@reproduce_failure(...)``; put above the test, that line runs
this one example again.  The examples come from a random seed, which pytest prints too when it
matters: ``pytest tests/test_engine_stateful.py --hypothesis-seed=N`` repeats a whole run.
"""

from __future__ import annotations

import gc
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pytest
import trio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

import trio_wsarecv
from trio_wsarecv import SocketStream, WinsockError
from trio_wsarecv._codes import NtStatus

from .simulation import Call, CancelAnswer, CrashingClock, Simulation, simulated_winsock

if TYPE_CHECKING:
    from collections.abc import Callable


# What the program does.


@dataclass(frozen=True)
class Receive:
    """Begin a receive in a task of its own."""

    how: str
    nbytes: int


@dataclass(frozen=True)
class Cancel:
    """Cancel one of the receives that have not ended."""

    which: int


@dataclass(frozen=True)
class Close:
    """Close the socket."""


@dataclass(frozen=True)
class Shutdown:
    """Shut the receiving side down."""


@dataclass(frozen=True)
class Crash:
    """End the run as a fault in Trio would."""


# What the peer does.


@dataclass(frozen=True)
class Send:
    """Send so many bytes."""

    nbytes: int
    status: NtStatus = NtStatus.SUCCESS


@dataclass(frozen=True)
class End:
    """End the stream."""


@dataclass(frozen=True)
class Reset:
    """Reset the connection."""


# What Windows and Trio do.


@dataclass(frozen=True)
class Behave:
    """Do from now on as this says."""

    prompt: bool = True
    cancel: CancelAnswer = CancelAnswer.ABORTED
    seed: int | None = None


@dataclass(frozen=True)
class Refuse:
    """Refuse the next call."""

    error: WinsockError


@dataclass(frozen=True)
class Abort:
    """Give the receive up because of a neighbour, or end it with an error after some bytes."""

    status: NtStatus


@dataclass(frozen=True)
class Settle:
    """Have the kernel do what it has put off."""


@dataclass(frozen=True)
class Deliver:
    """Dequeue so many packets."""

    count: int


@dataclass(frozen=True)
class Run:
    """Let every task run."""


Step = Any

HOW = ("recv", "recv_into", "receive_some", "exactly", "exactly_into", "scatter")

# All steps there are, the ordinary ones several times, so that a step costs a single choice.
STEPS: list[Step] = [
    *(2 * [Receive(how, nbytes) for how in HOW for nbytes in (3, 10, 5000)]),
    *(6 * [Send(2), Send(8), Send(3000)]),
    *(20 * [Run()]),
    *(10 * [Deliver(1), Deliver(3)]),
    *(6 * [Cancel(0), Cancel(1)]),
    *(6 * [Settle()]),
    *(Behave(prompt, cancel) for prompt in (True, False) for cancel in CancelAnswer),
    *(Behave(seed=seed) for seed in range(4)),
    Abort(NtStatus.CANCELLED),
    Abort(NtStatus.REQUEST_ABORTED),
    Abort(NtStatus.INSUFFICIENT_RESOURCES),
    Send(5, NtStatus.RECEIVE_PARTIAL),
    Send(5, NtStatus.RECEIVE_EXPEDITED),
    Refuse(WinsockError.WSAENOBUFS),
    Refuse(WinsockError.WSAEMSGSIZE),
    Close(),
    Shutdown(),
    End(),
    Reset(),
    Crash(),
]
SCRIPTS = st.lists(st.sampled_from(STEPS), max_size=10) | st.lists(
    st.sampled_from(STEPS), min_size=20, max_size=60
)

PATTERN = bytes(range(251)) * 1000

ALLOWED = (
    trio.Cancelled,
    trio.ClosedResourceError,
    trio.BusyResourceError,
    trio.BrokenResourceError,
    trio_wsarecv.IncompleteReceiveError,
    OSError,
)


class Machine:
    """One example under way, and what the program must see of it.

    Attributes:
      sent: what the peer has sent.
      all_taken: how much the calls that have ended have taken out of the kernel.
      kept: what exact receives have taken and had to leave to the next.
    """

    def __init__(self, simulation: Simulation, clock: CrashingClock) -> None:
        self.simulation = simulation
        self.clock = clock
        self.sock = simulation.stream()
        self.handle = self.sock.fileno()
        self.endpoint = self.sock.peer
        self.stream = SocketStream(self.sock)
        self.calls: list[Call] = []
        self.sent = 0
        self.all_taken = 0
        self.kept = b""
        self.closed = False

    def taken(self) -> bytes:
        """What this task has taken out of the kernel since it was asked last."""
        data: bytes = self.endpoint.taken.pop(trio.lowlevel.current_task(), b"")
        self.all_taken += len(data)
        return data

    # The calls.  What they give out is checked in the moment in which they give it.

    async def recv(self, nbytes: int) -> bytes:
        return await self.sock.recv(nbytes)

    async def receive_some(self, _: int) -> bytes:
        return await self.stream.receive_some()

    async def recv_into(self, nbytes: int) -> bytes:
        buffer = bytearray(b"\xaa" * (nbytes + 2))
        try:
            received = await self.sock.recv_into(buffer, nbytes)
        finally:
            buffer.append(0)
        assert buffer[received:] == b"\xaa" * (nbytes + 2 - received) + b"\0"
        return bytes(buffer[:received])

    async def exactly(self, nbytes: int) -> bytes:
        return await self.stream.receive_exactly(nbytes)

    async def exactly_into(self, nbytes: int) -> bytes:
        buffer = bytearray(nbytes)
        try:
            await self.stream.receive_exactly_into(buffer)
        finally:
            buffer.append(0)
        return bytes(buffer[:nbytes])

    async def scatter(self, nbytes: int) -> bytes:
        halves = [bytearray(nbytes // 2), bytearray(nbytes - nbytes // 2)]
        received, _ = await trio_wsarecv.wsarecv(self.sock, halves)
        for half in halves:
            half.append(0)
        return bytes(halves[0][:-1] + halves[1][:-1])[:received]

    async def call(self, how: str, nbytes: int) -> int:
        """Receive, and compare the result with what went before; return its size."""
        function: Callable[[int], Any] = getattr(self, how)
        exact = how.startswith("exactly")
        alone_with_kept = len(self.pending) <= 1 and bool(self.kept)
        try:
            result = await function(nbytes)
        except trio.BusyResourceError:
            assert self.sock.receiver.reserved or self.endpoint.requests
            raise
        except trio_wsarecv.IncompleteReceiveError as exc:
            self.given(exc.partial, self.taken())
            raise
        except BaseException:
            left = self.taken()
            assert exact or not left
            if not self.closed:
                self.kept += left
            raise
        assert not exact or len(result) == nbytes
        lead = self.given(result, self.taken())
        assert lead or not alone_with_kept or self.closed
        return len(result)

    def given(self, result: bytes, taken: bytes) -> int:
        assert result.endswith(taken)
        lead = len(result) - len(taken)
        if not self.closed:
            assert self.kept[:lead] == result[:lead]
            self.kept = self.kept[lead:]
            assert not (lead and taken and self.kept)
        return lead

    @property
    def pending(self) -> list[Call]:
        return [call for call in self.calls if not call.done]

    async def step(self, nursery: trio.Nursery, step: Step) -> None:
        simulation, endpoint = self.simulation, self.endpoint
        match step:
            case Receive(how, nbytes):
                self.calls.append(Call(nursery, self.call, how, nbytes))
            case Cancel(which) if which < len(self.pending):
                self.pending[which].scope.cancel()
            case Close():
                self.sock.close()
                self.closed = True
                self.kept = b""
                assert self.sock.fileno() == -1
            case Shutdown() if not self.closed:
                self.sock.shutdown(0)
            case Crash():
                self.clock.crash()
                await trio.lowlevel.checkpoint()
            case Send(nbytes, status) if not endpoint.ended:
                endpoint.send(PATTERN[self.sent : self.sent + nbytes], status)
                self.sent += nbytes
            case End():
                endpoint.send_end()
            case Reset():
                endpoint.reset()
            case Behave():
                simulation.behave(**asdict(step))
            case Refuse(error):
                endpoint.refusals.append(error)
            case Abort(status) if endpoint.requests:
                endpoint.end_with_what_came(status)
            case Settle():
                simulation.settle()
            case Deliver(count):
                await simulation.deliver_one_by_one(count)
            case Run():
                await simulation.run()
        self.check()

    def check(self) -> None:
        self.simulation.check()
        for call in self.calls:
            if call.done:
                assert call.succeeded or isinstance(call.error, ALLOWED), call.error
        log = [event.what for event in self.simulation.kernel.log if event.handle == self.handle]
        assert log.count("close") <= 1
        assert not self.endpoint.closed_on_a_receive

    async def finish(self) -> None:
        """End everything, and see that nothing was left behind."""
        simulation = self.simulation
        simulation.behave(cancel=CancelAnswer.ABORTED, seed=None)
        await simulation.step()
        for call in self.pending:
            call.scope.cancel()
        await simulation.step()
        assert not self.pending
        simulation.check_quiet()
        self.check()
        if not self.closed and not self.endpoint.is_shut and not self.endpoint.failure:
            await self.receive_the_rest()
        self.sock.close()
        assert self.endpoint.handles == 0
        self.check()

    async def receive_the_rest(self) -> None:
        self.endpoint.refusals.clear()
        self.endpoint.send_end()
        self.simulation.deliver_automatically()
        for _ in range(100):
            try:
                if not await self.call("recv", 1 << 16):
                    break
            except OSError:
                # One that had to wait for its bytes to be received.
                continue
        assert not self.kept
        assert self.all_taken == self.sent


async def play(simulation: Simulation, clock: CrashingClock, steps: list[Step]) -> None:
    machine = Machine(simulation, clock)
    with trio.fail_after(1):
        async with simulation.nursery() as nursery:
            for step in steps:
                await machine.step(nursery, step)
            await machine.finish()


def play_in_a_run(simulation: Simulation, steps: list[Step]) -> None:
    clock = CrashingClock()
    if Crash() in steps:
        with pytest.raises(trio.TrioInternalError):
            trio.run(play, simulation, clock, steps, clock=clock)
    else:
        # With this clock, whoever waits in vain has waited long enough at once.
        trio.run(play, simulation, clock, steps, clock=MockClock(autojump_threshold=0))


# Trio's own tasks cannot end in peace when the run does not.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("turn", range(4))
@settings(
    max_examples=50 if sys.platform == "win32" else 150,  # it is the same engine, slower
    phases=set(Phase) - {Phase.explain},  # which can take longer than a test may
)
@given(steps=SCRIPTS)
def test_no_order_of_events_loses_a_byte_or_ends_the_run(turn: int, steps: list[Step]) -> None:
    with simulated_winsock() as simulation:
        play_in_a_run(simulation, steps)
        gc.collect()
