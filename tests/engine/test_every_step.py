"""A signal handler that raises at any step of a receive harms only that receive."""

from __future__ import annotations

import dis
import itertools
import re
import sys
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import trio_wsarecv
from tests.peers import pattern
from tests.receiving import SENDER, Receive, is_claimed
from tests.simulation import Call, CancelAnswer, Simulation, simulated_winsock
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import MsgFlag, SocketStream, wsarecv
from trio_wsarecv._engine.memory import Run

from .flows import LARGE, begin, make_flow, make_flows

# Where the handler raises, a coroutine may have been made that nobody awaits.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PACKAGE = Path(trio_wsarecv.__file__).parent
ROOMS = tuple(str(PACKAGE / room) for room in ("_engine", "_winsock"))
CALLS = re.compile(r"CALL|WITH|JUMP_(ABSOLUTE|BACKWARD$)")
AWAITS = re.compile(r"SEND|YIELD")


class Stop(Exception):
    """What the signal handler raises."""


@cache
def lines_that_end_in_a_call(code: CodeType) -> frozenset[int | None]:
    """Return the lines of a function that call something last, or go to the top of a loop."""
    lines = {offset: line for start, end, line in code.co_lines() for offset in range(start, end)}
    found = {}
    for instruction in dis.get_instructions(code):
        if AWAITS.search(instruction.opname):
            found[lines[instruction.offset]] = False
        elif CALLS.match(instruction.opname):
            found[lines[instruction.offset]] = True
    return frozenset(line for line, calls in found.items() if calls)


class Steps:
    """Raises `Stop` at one of the steps of a receive in the engine.

    Python runs signal handlers where a function begins or goes on, behind a call, and at the end of
    a loop.  Each such place is a step.

    Args:
      number: how many steps come before.
    """

    def __init__(self, number: int) -> None:
        self.left = number
        self.where = ""
        self._active = False
        self._entered = 0

    async def take(self, receive: Receive, sock: SocketOverSimulation) -> object:
        """Receive."""
        self._task = trio.lowlevel.current_task()
        before = sys.gettrace()
        sys.settrace(self._enter)
        self._active = True
        try:
            return await receive(sock)
        finally:
            self._active = False
            sys.settrace(before)

    def _enter(self, frame: FrameType, event: str, argument: object) -> Any:
        code = frame.f_code
        in_package = code.co_filename.startswith(ROOMS)
        if not in_package or trio.lowlevel.current_task() is not self._task:
            return None
        last: int | None = None
        self._entered += 1
        entered = self._entered

        def step(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal last
            if event == "line":
                # A resumed coroutine continues in its innermost frame first.
                goes_on = last is None and entered == self._entered
                if goes_on or last in lines_that_end_in_a_call(code):
                    self._step(frame)
                last = frame.f_lineno
            return step

        return step

    def _step(self, frame: FrameType) -> None:
        if self._active and not self.left:
            self._active = False
            code = frame.f_code
            self.where = f"{Path(code.co_filename).name}:{frame.f_lineno} {code.co_name}"
            raise Stop
        self.left -= 1


STREAM: dict[str, Receive] = {
    "recv": lambda sock: sock.recv(1000),
    "recv, large": lambda sock: sock.recv(LARGE),
    "recv, more than it waits with": lambda sock: sock.recv(LARGE),
    "recv_into": lambda sock: sock.recv_into(bytearray(1000)),
    "recvmsg": lambda sock: sock.recvmsg(1000),
    "receive_exactly": lambda sock: SocketStream(sock).receive_exactly(1000),
    "MSG_WAITALL": lambda sock: wsarecv(
        sock, [bytearray(300), bytearray(700)], MsgFlag.MSG_WAITALL
    ),
    "MSG_PEEK": lambda sock: sock.recv(1000, MsgFlag.MSG_PEEK),
}
DATAGRAMS: dict[str, Receive] = {
    "recv": lambda sock: sock.recv(1000),
    "recvfrom_into": lambda sock: sock.recvfrom_into(bytearray(1000)),
    "recvmsg": lambda sock: sock.recvmsg(1000, 100),
    "wsarecv": lambda sock: wsarecv(sock, [bytearray(300), bytearray(700)]),
    "recvfrom_many": lambda sock: sock.recvfrom_many(3, 1000),
    "MSG_PEEK": lambda sock: sock.recv(1000, MsgFlag.MSG_PEEK),
}
#: How the data is received: by a pending receive, inline with or without a packet, by readiness, or
#: behind another receive, which has been cancelled.
WAYS = ("pending", "inline", "skip mode", "by readiness", "queued")
#: When the data comes: while the interrupted receive is cancelled, for each answer of Windows; and
#: with the cancellation interrupted as well.
LATE = (*CancelAnswer, "twice")
CASES = [
    *((True, how, way) for how in STREAM for way in WAYS),
    *((False, how, way) for how in DATAGRAMS for way in WAYS),
    *((True, how, way) for how in ("recv", "recv_into", "receive_exactly") for way in LATE),
    *((False, how, way) for how in ("recv", "recvmsg") for way in LATE),
]
#: Where an interrupt loses the data that a call has received inline, as with stock Trio.
LOSING = ("receive_nonblocking", "_drain", "_receive_more")
#: Where it does so if no packet follows.
LOSING_WITHOUT_PACKET = (*LOSING, "_submit", "receive", "attempt")
#: Where the result has been made, of which nothing is kept.
WITH_RESULT = ("receive", "_release", "release", "take_back")


class Example:
    """One receive that is interrupted at one of its steps, and the checks after it."""

    def __init__(
        self, simulation: Simulation, is_stream: bool, how: str, way: str | CancelAnswer
    ) -> None:
        self.simulation = simulation
        self.how = how
        self.way = way
        self.receive = (STREAM if is_stream else DATAGRAMS)[how]
        make = simulation.stream if is_stream else simulation.datagrams
        self.sock = make(made_here=way == "skip mode")
        self.sock.peer.ifs_handles = way != "by readiness"
        self.data = pattern(5000 if how == "recv, more than it waits with" else 1000)
        self.limit = sys.getrecursionlimit()
        self.arrived = False
        self.returned: list[bytes] = []
        with_packet = way in ("pending", "inline", *LATE)
        self.losing = LOSING if with_packet else LOSING_WITHOUT_PACKET

    def interrupt_again(self) -> None:
        self.simulation.kernel32.on_call = lambda: None
        raise Stop

    def arrive(self) -> None:
        self.simulation.kernel32.on_call = lambda: None
        self.arrived = True
        peer = self.sock.peer
        if not peer.is_stream:
            for data in (b"", b"1"):
                peer.send(data, SENDER)
        elif self.how in ("receive_exactly", "MSG_WAITALL"):
            for start, end in itertools.pairwise((0, 100, 600, 1000)):
                peer.send(self.data[start:end])
        else:
            peer.send(self.data)

    async def play(self, steps: Steps) -> None:
        simulation, sock = self.simulation, self.sock
        simulation.deliver_automatically()
        if self.how == "recv, large":
            await make_flow(simulation, sock)
        async with trio.open_nursery() as nursery:
            if self.way == "queued":
                other = Call(nursery, sock.recv, 100)
                await simulation.run()
                simulation.behave(prompt=False)
                other.scope.cancel()
            elif self.way is CancelAnswer.NOT_FOUND:
                simulation.kernel32.on_call = self.arrive
            elif isinstance(self.way, CancelAnswer):
                simulation.behave(prompt=False, cancel=self.way)
            elif self.way == "twice":
                simulation.kernel32.on_call = self.interrupt_again
            waits = self.way == "pending" or self.way in LATE
            if not waits:
                self.arrive()
            call = Call(nursery, steps.take, self.receive, sock)
            await simulation.run()
            if waits and not call.done and not self.arrived:
                self.arrive()
            simulation.behave(prompt=True)
            simulation.settle()
            await simulation.run()
            if not call.done:  # it was interrupted on its way to the kernel
                call.scope.cancel()
                await simulation.run()
        if not steps.where:
            assert call.succeeded
        elif self.how == "recvfrom_many" and call.succeeded:
            # What there was is returned, and the next receive raises the error.
            self.returned = [data for data, _ in call.value]
            assert sock.receiver.pushed_back.error
            sock.receiver.pushed_back.error = None
        else:
            assert call.cancelled or isinstance(call.error, Stop)

    async def check(self, where: str) -> None:
        """Check that nothing is wrong, and that other receives work."""
        simulation, sock = self.simulation, self.sock
        simulation.check()
        assert sys.getrecursionlimit() == self.limit
        assert not simulation.kernel.outstanding, "a packet is still to come"
        assert not Run.current().waiting
        assert not is_claimed(sock)
        other = simulation.stream(made_here=True)
        other.peer.send(b"other")
        assert await other.recv(100) == b"other"
        if self.how in ("recv, large", "recv, more than it waits with"):
            # Two large receives do not share memory.
            async with simulation.nursery() as nursery:
                await begin(simulation, *await make_flows(simulation, 2))
                simulation.check()
                nursery.cancel_scope.cancel()
        await (self.check_bytes(where) if sock.peer.is_stream else self.check_datagrams(where))

    async def check_bytes(self, where: str) -> None:
        self.sock.peer.send(b"more")
        self.sock.peer.send_end()
        received = b""
        while piece := await self.sock.recv(5000):
            received += piece
        if where.endswith(self.losing):
            assert received.endswith(b"more")
            words = [received[i : i + 4] for i in range(0, len(received) - 4, 4)]
            places = [int.from_bytes(word, "little") for word in words]
            assert places == sorted(set(places))  # in order, and nothing twice
        elif received != self.data + b"more":
            assert received == b"more"
            assert not self.arrived or where.endswith(WITH_RESULT)

    async def check_datagrams(self, where: str) -> None:
        self.sock.peer.send(b"2", SENDER)
        received = self.returned
        while b"2" not in received:
            received.append((await self.sock.recvfrom(100))[0])
        sent = [b"", b"1", b"2"]
        assert received == [data for data in sent if data in received]
        if received != sent:
            assert not self.arrived or where.endswith((*self.losing, *WITH_RESULT))


async def is_interrupted(simulation: Simulation, steps: Steps, *case: Any) -> bool:
    """Play an example and check it; return whether the receive has had so many steps."""
    try:
        example = Example(simulation, *case)
        await example.play(steps)
        if steps.where:
            await example.check(steps.where)
    except BaseException as exc:
        raise AssertionError(f"interrupted at {steps.where}") from exc
    # Each example has its own memory to lend.  A run of Trio for each would take much longer.
    trio.lowlevel.remove_instrument(Run.current())
    Run.current().after_run()
    return bool(steps.where)


@pytest.mark.parametrize(("is_stream", "how", "way"), CASES)
async def test_an_exception_at_any_step_harms_only_this_receive(
    is_stream: bool, how: str, way: str | CancelAnswer, autojump_clock: MockClock
) -> None:
    for number in itertools.count():
        with simulated_winsock() as simulation:
            simulation.knows_answers = False
            if not await is_interrupted(simulation, Steps(number), is_stream, how, way):
                break
    assert number >= 30
