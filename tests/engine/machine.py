"""What the examples of the stateful tests have in common: their steps, and how one is played.

An example is a socket, a behaviour of Windows, and a list of steps: what the program, the peer, the
kernel and Trio do, one after the other.
"""

from __future__ import annotations

import gc
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import pytest
import trio
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from trio.testing import MockClock

from tests.simulation import (
    Behaviour,
    Call,
    CancelAnswer,
    CrashingClock,
    Simulation,
    simulated_winsock,
)
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import IncompleteReceiveError
from trio_wsarecv._engine import receive
from trio_wsarecv._winsock.codes import NtStatus, WinsockError

Step = Any


@dataclass(frozen=True)
class Receive:
    """The program begins a receive in a task of its own."""

    how: str
    nbytes: int


@dataclass(frozen=True)
class Cancel:
    """The program cancels one of the receives that have not ended."""

    which: int


@dataclass(frozen=True)
class Close:
    """The program closes the socket."""


@dataclass(frozen=True)
class Shutdown:
    """The program shuts the receiving side down, or both."""

    how: int


@dataclass(frozen=True)
class Crash:
    """The run ends as by a fault in Trio."""


@dataclass(frozen=True)
class Behave:
    """Windows does from now on as this says."""

    prompt: bool = True
    cancel: CancelAnswer = CancelAnswer.ABORTED
    seed: int | None = None


@dataclass(frozen=True)
class Refuse:
    """Windows refuses the next call."""

    error: WinsockError


@dataclass(frozen=True)
class Abort:
    """Windows gives the receive up, or ends it with an error, after what has come."""

    status: NtStatus


@dataclass(frozen=True)
class Settle:
    """The kernel does what it has put off."""


@dataclass(frozen=True)
class Deliver:
    """Trio dequeues so many packets."""

    count: int


@dataclass(frozen=True)
class Run:
    """Every task runs for as long as it can."""


# The ordinary steps come several times, so that a step costs a single choice.
COMMON: list[Step] = [
    *(20 * [Run()]),
    *(10 * [Deliver(1), Deliver(3)]),
    *(6 * [Cancel(0), Cancel(1)]),
    *(6 * [Settle()]),
    *(Behave(prompt, cancel) for prompt in (True, False) for cancel in CancelAnswer),
    *(Behave(seed=seed) for seed in range(4)),
    Abort(NtStatus.CANCELLED),
    Abort(NtStatus.REQUEST_ABORTED),
    Refuse(WinsockError.WSAENOBUFS),
    Close(),
    Shutdown(0),
    Shutdown(2),
    Crash(),
]


def scripts(steps: Sequence[Step]) -> SearchStrategy[list[Step]]:
    """Draw a short list of steps, or a long one."""
    step = st.sampled_from(steps)
    return st.lists(step, max_size=10) | st.lists(step, min_size=20, max_size=60)


ALLOWED = (
    trio.Cancelled,
    trio.ClosedResourceError,
    trio.BusyResourceError,
    trio.BrokenResourceError,
    IncompleteReceiveError,
    OSError,
)


@dataclass(eq=False)
class UnderWay:
    """A receive that has not ended, and whether no other has been under way meanwhile."""

    alone: bool


class Machine(ABC):
    """One example under way.

    Attributes:
      calls: the receives that have been begun.
      active: whether one of them has the receive side, from its start to its end.
    """

    def __init__(
        self, simulation: Simulation, clock: CrashingClock, sock: SocketOverSimulation
    ) -> None:
        self.simulation = simulation
        self.clock = clock
        self.sock = sock
        self.handle = sock.fileno()
        self.endpoint = sock.peer
        self.calls: list[Call] = []
        self.active: list[UnderWay] = []
        self.closed = False

    @abstractmethod
    async def receive(self, how: str, nbytes: int) -> None:
        """Receive, and compare what that gives with what should come."""

    @abstractmethod
    def peer_does(self, step: Step) -> None:
        """Do what the peer does."""

    def may_be_refused(self, error: WinsockError | None) -> bool:
        """Tell whether a refusal leaves the example an end."""
        return True

    @abstractmethod
    async def receive_the_rest(self) -> None:
        """Receive all that has not been received, and see that nothing is missing."""

    @property
    def pending(self) -> list[Call]:
        return [call for call in self.calls if not call.done]

    async def _call(self, how: str, nbytes: int) -> None:
        # A receive is refused only if another was under way, which had a turn to end.
        this = UnderWay(alone=not self.active)
        for other in self.active:
            other.alone = False
        self.active.append(this)
        try:
            await self.receive(how, nbytes)
        except trio.BusyResourceError as exc:
            if this.alone:
                raise AssertionError("nobody else is receiving") from exc
        finally:
            self.active.remove(this)

    async def step(self, nursery: trio.Nursery, step: Step) -> None:
        simulation, endpoint = self.simulation, self.endpoint
        match step:
            case Receive(how, nbytes):
                self.calls.append(Call(nursery, self._call, how, nbytes))
            case Cancel(which) if which < len(self.pending):
                self.pending[which].scope.cancel()
            case Close():
                self.sock.close()
                self.closed = True
                assert self.sock.fileno() == -1
            case Shutdown(how) if not self.closed:
                self.sock.shutdown(how)
            case Crash():
                self.clock.crash()
                await trio.lowlevel.checkpoint()
            case Behave():
                simulation.behave(**asdict(step))
            case Refuse(error) if self.may_be_refused(error):
                endpoint.refusals.append(error)
            case Abort(status) if endpoint.requests and self.may_be_refused(status.error):
                endpoint.end_with_what_came(status)
            case Settle():
                simulation.settle()
            case Deliver(count):
                await simulation.deliver_one_by_one(count)
            case Run():
                await simulation.run()
            case _:
                self.peer_does(step)
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
        simulation.behave(cancel=CancelAnswer.ABORTED, seed=None, message_faults=False)
        await simulation.step()
        for call in self.pending:
            call.scope.cancel()
        await simulation.step()
        assert not self.pending
        simulation.check_quiet()
        self.check()
        if not self.closed and not self.endpoint.is_shut:
            self.endpoint.refusals.clear()
            simulation.deliver_automatically()
            await self.receive_the_rest()
        self.sock.close()
        self.closed = True
        assert self.endpoint.handles == 0
        self.check()


async def _play(
    machine_of: Callable[[CrashingClock], Machine], clock: CrashingClock, steps: list[Step]
) -> None:
    machine = machine_of(clock)
    with trio.fail_after(10):
        async with machine.simulation.nursery() as nursery:
            for step in steps:
                await machine.step(nursery, step)
            await machine.finish()


def _run(machine_of: Callable[[CrashingClock], Machine], steps: list[Step]) -> None:
    # In a frame of its own, so that nothing of an exception holds on to the tasks.
    clock = CrashingClock()
    if Crash() in steps:
        with pytest.raises(trio.TrioInternalError):
            trio.run(_play, machine_of, clock, steps, clock=clock)
    else:
        # With this clock, a task that waits in vain reaches its deadline immediately.
        trio.run(_play, machine_of, clock, steps, clock=MockClock(autojump_threshold=0))


async def nothing() -> None:
    """Do nothing, and let nobody else do anything."""


def play(
    make: Callable[[Simulation, CrashingClock], Machine], behaviour: Behaviour, steps: list[Step]
) -> None:
    """Play an example to its end."""
    with simulated_winsock() as simulation, pytest.MonkeyPatch.context() as patch:
        # Each receive is looked at before the next one begins, which its last checkpoint would let.
        patch.setattr(receive, "cancel_shielded_checkpoint", nothing)
        simulation.behave(behaviour)
        _run(partial(make, simulation), steps)
        gc.collect()
