"""What the stateful tests share: their steps, and how an example is played.

An example is a socket, a behaviour of Windows, and a list of steps: what the program, the peer, the
kernel and Trio do, one after the other.

A failure is printed with a line ``@reproduce_failure(...)``.  Put above `test` in `plays`, that
line runs this one example again.
"""

from __future__ import annotations

import gc
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import trio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.simulation import (
    Behaviour,
    Call,
    CancelAnswer,
    CrashingClock,
    Simulation,
    simulated_winsock,
)
from tests.simulation.behaviour import behaviours
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import IncompleteReceiveError
from trio_wsarecv._engine import receive
from trio_wsarecv._winsock.codes import NtStatus, WinsockError


class Step(NamedTuple):
    """What the program, the peer, the kernel or Trio does next; `Machine.step` says what."""

    what: str
    value: Any = None
    nbytes: int = 0


CRASH = Step("crash")


def receives(how: Sequence[str], sizes: Sequence[int]) -> list[Step]:
    """Return every kind of receive of every size, begun by the program in a task of its own."""
    return [Step("receive", each, nbytes) for each in how for nbytes in sizes]


# The ordinary steps come several times, so that a step costs a single choice.
COMMON: list[Step] = [
    *(20 * [Step("run")]),
    *(10 * [Step("deliver", 1), Step("deliver", 3)]),
    *(6 * [Step("cancel", 0), Step("cancel", 1)]),
    *(6 * [Step("settle")]),
    *(
        Step("behave", {"prompt": prompt, "cancel": cancel, "seed": None})
        for prompt in (True, False)
        for cancel in CancelAnswer
    ),
    *(
        Step("behave", {"prompt": True, "cancel": CancelAnswer.ABORTED, "seed": seed})
        for seed in range(4)
    ),
    Step("abort", NtStatus.CANCELLED),
    Step("abort", NtStatus.REQUEST_ABORTED),
    Step("refuse", WinsockError.WSAENOBUFS),
    Step("close"),
    Step("shutdown", 0),
    Step("shutdown", 2),
    CRASH,
]


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
    """A pending receive, and whether it has been the only one."""

    alone: bool


class Machine(ABC):
    """One example that is being played.

    Attributes:
      calls: the receives that have been started.
      active: those that have not returned yet.
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
        """Receive, and compare the result with what is expected."""

    @abstractmethod
    def peer_does(self, step: Step) -> None:
        """Perform a step of the peer."""

    def may_be_refused(self, error: WinsockError | None) -> bool:
        """Tell whether the example can still end after this error."""
        return True

    @abstractmethod
    async def receive_the_rest(self) -> None:
        """Receive the rest, and check that nothing is missing."""

    @property
    def pending(self) -> list[Call]:
        return [call for call in self.calls if not call.done]

    async def _call(self, how: str, nbytes: int) -> None:
        # A receive is refused only if another was pending.
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
            case ("receive", how, nbytes):
                self.calls.append(Call(nursery, self._call, how, nbytes))
            case ("cancel", which, _) if which < len(self.pending):
                self.pending[which].scope.cancel()
            case ("close", _, _):
                self.sock.close()
                self.closed = True
                assert self.sock.fileno() == -1
            case ("shutdown", how, _) if not self.closed:
                self.sock.shutdown(how)
            case ("crash", _, _):  # by a fault in Trio
                self.clock.crash()
                await trio.lowlevel.checkpoint()
            case ("behave", choices, _):  # Windows does so from now on
                simulation.behave(**choices)
            case ("refuse", error, _) if self.may_be_refused(error):  # Windows, the next call
                endpoint.refusals.append(error)
            case ("abort", status, _) if endpoint.requests and self.may_be_refused(status.error):
                endpoint.end_with_what_came(status)
            case ("settle", _, _):
                simulation.settle()
            case ("deliver", count, _):
                await simulation.deliver_one_by_one(count)
            case ("run", _, _):
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
        """End everything, and check that nothing was left behind."""
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
    # In its own frame, so that no exception keeps the tasks alive.
    clock = CrashingClock()
    if CRASH in steps:
        with pytest.raises(trio.TrioInternalError):
            trio.run(_play, machine_of, clock, steps, clock=clock)
    else:
        # With this clock, a task that waits in vain reaches its deadline immediately.
        trio.run(_play, machine_of, clock, steps, clock=MockClock(autojump_threshold=0))


async def nothing() -> None:
    """Do nothing, without a checkpoint."""


def plays(machine: Callable[..., Machine], steps: Sequence[Step]) -> Any:
    """Return a test that plays examples on a machine, in any mode, behaviour and order of steps.

    Args:
      machine: called with the simulation, the clock, and whether the package made the socket.
      steps: what the examples consist of.
    """
    step = st.sampled_from(steps)

    # After a crash of the run, Trio's own tasks cannot end properly.
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    @pytest.mark.parametrize("turn", range(4))
    @settings(
        max_examples=50 if sys.platform == "win32" else 150,  # it is the same engine, slower
        phases=set(Phase) - {Phase.explain},  # which can take longer than a test may
    )
    @given(
        behaviour=behaviours(),
        made_here=st.booleans(),
        steps=st.lists(step, max_size=10) | st.lists(step, min_size=20, max_size=60),
    )
    def test(turn: int, behaviour: Behaviour, made_here: bool, steps: list[Step]) -> None:
        with simulated_winsock() as simulation, pytest.MonkeyPatch.context() as patch:
            # Each result is checked before the next receive begins, which the last checkpoint
            # of a receive would let begin first.
            patch.setattr(receive, "cancel_shielded_checkpoint", nothing)
            simulation.behave(behaviour)
            _run(lambda clock: machine(simulation, clock, made_here), steps)
            gc.collect()

    return test
