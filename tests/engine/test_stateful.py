"""Connections in every order of events that Hypothesis can think of, on every kind of Windows.

However the events come, what the program receives is what the peer sent as far as it got, and
nothing that would be the end of a real run happens.

A failure is printed with a line ``@reproduce_failure(...)``; put above the test, that line runs
this one example again.  The examples come from a random seed, which pytest prints too when it
matters: ``pytest tests/engine/test_stateful.py --hypothesis-seed=N`` repeats a whole run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import trio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.simulation import Behaviour, CrashingClock, Simulation
from tests.simulation.strategies import behaviours
from trio_wsarecv import IncompleteReceiveError, MsgFlag, SocketStream, WinsockError, wsarecv
from trio_wsarecv._winsock.codes import NtStatus

from .machine import COMMON, Abort, Machine, Receive, Refuse, Step, play, scripts


@dataclass(frozen=True)
class Send:
    """The peer sends so many bytes."""

    nbytes: int
    status: NtStatus = NtStatus.SUCCESS


@dataclass(frozen=True)
class SendUrgent:
    """The peer sends an urgent byte."""


@dataclass(frozen=True)
class End:
    """The peer ends the stream."""


@dataclass(frozen=True)
class Reset:
    """The peer resets the connection."""


HOW = ("recv", "recv_into", "receive_some", "exactly", "exactly_into", "scatter", "all")

STEPS: list[Step] = [
    *COMMON,
    *(2 * [Receive(how, nbytes) for how in HOW for nbytes in (3, 10, 5000)]),
    *(Receive(how, nbytes) for how in ("peek", "urgent", "wait_all") for nbytes in (3, 5000)),
    *(6 * [Send(2), Send(8), Send(3000)]),
    *(2 * [Send(20_000), SendUrgent()]),
    Abort(NtStatus.INSUFFICIENT_RESOURCES),
    Send(5, NtStatus.RECEIVE_PARTIAL),
    Send(5, NtStatus.RECEIVE_EXPEDITED),
    Refuse(WinsockError.WSAENETDOWN),
    End(),
    Reset(),
]

PATTERN = bytes(range(251)) * 5000
URGENT = b"!"


class Connection(Machine):
    """A connection, and what the program must see of it.

    Attributes:
      sent: how much the peer has sent.
      all_taken: how much the calls that have ended have taken out of the kernel.
      kept: what calls have taken and had to leave to the next.
      urgent_receives: how many receives of an urgent byte there are.
    """

    def __init__(self, simulation: Simulation, clock: CrashingClock, made_here: bool) -> None:
        super().__init__(simulation, clock, simulation.stream(made_here=made_here))
        self.stream = SocketStream(self.sock)
        self.sent = 0
        self.all_taken = 0
        self.kept = b""
        self.urgent_receives = 0

    def taken(self) -> bytes:
        """What this task has taken out of the kernel since it was asked last."""
        data: bytes = self.endpoint.taken.pop(trio.lowlevel.current_task(), b"")
        return data

    async def recv(self, nbytes: int) -> bytes:
        return await self.sock.recv(nbytes)

    async def wait_all(self, nbytes: int) -> bytes:
        return await self.sock.recv(nbytes, MsgFlag.MSG_WAITALL)

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

    async def scatter(self, nbytes: int, flags: int = 0) -> bytes:
        halves = [bytearray(nbytes // 2), bytearray(nbytes - nbytes // 2)]
        received, _ = await wsarecv(self.sock, halves, flags)
        for half in halves:
            half.append(0)
        return bytes(halves[0][:-1] + halves[1][:-1])[:received]

    async def all(self, nbytes: int) -> bytes:
        return await self.scatter(nbytes, MsgFlag.MSG_WAITALL)

    async def peek(self, nbytes: int) -> None:
        data = await self.sock.recv(nbytes, MsgFlag.MSG_PEEK)
        assert not self.taken()
        here = self.kept + PATTERN[self.all_taken : self.sent]
        assert here.startswith(data) or self.closed

    async def urgent(self, nbytes: int) -> None:
        if WinsockError.WSAENOBUFS in self.endpoint.refusals:
            return
        self.urgent_receives += 1
        try:
            data = await self.sock.recv(nbytes, MsgFlag.MSG_OOB)
        finally:
            self.urgent_receives -= 1
        assert data == self.taken() == URGENT

    def may_be_refused(self, error: WinsockError | None) -> bool:
        # For want of memory an urgent byte would be received by readiness: where other data waits,
        # that asks again and again, as it does in stock Trio.
        return error != WinsockError.WSAENOBUFS or not self.urgent_receives

    async def receive(self, how: str, nbytes: int) -> None:
        if how in ("peek", "urgent"):
            await getattr(self, how)(nbytes)
        else:
            await self.receive_in_line(how, nbytes)

    async def receive_in_line(self, how: str, nbytes: int) -> int:
        """Receive, and compare the result with what went before; return its size."""
        function: Callable[[int], Any] = getattr(self, how)
        gathers = how in ("exactly", "exactly_into", "all")
        closed = self.closed
        try:
            result = await function(nbytes)
        except IncompleteReceiveError as exc:
            self.given(exc.partial, self.taken())
            raise
        except BaseException:
            left = self.taken()
            self.all_taken += len(left)
            assert gathers or not left
            if self.closed:
                left = b""
            self.kept += left
            raise
        assert len(result) == nbytes or how not in ("exactly", "exactly_into")
        kept = self.kept  # now, for another receive may have come between
        lead = self.given(result, self.taken())
        assert lead or not kept or closed or self.closed
        return len(result)

    def given(self, result: bytes, taken: bytes) -> int:
        """Note what a call has given; return how much of it had been kept."""
        assert taken == PATTERN[self.all_taken : self.all_taken + len(taken)]
        self.all_taken += len(taken)
        assert result.endswith(taken)
        lead = len(result) - len(taken)
        if not self.closed:
            assert self.kept[:lead] == result[:lead]
            self.kept = self.kept[lead:]
            assert not (lead and taken and self.kept)
        return lead

    def peer_does(self, step: Step) -> None:
        endpoint = self.endpoint
        match step:
            case Send(nbytes, status) if not endpoint.ended and not endpoint.failure:
                endpoint.send(PATTERN[self.sent : self.sent + nbytes], status)
                self.sent += nbytes
            case SendUrgent() if not endpoint.ended and not endpoint.failure:
                endpoint.send_urgent(URGENT)
            case End():
                endpoint.send_end()
            case Reset():
                endpoint.reset()

    def check(self) -> None:
        super().check()
        if self.closed:
            self.kept = b""
        if not self.active:
            assert self.sock.receiver.pushed_back.data == self.kept

    async def receive_the_rest(self) -> None:
        if self.endpoint.failure:
            return
        self.endpoint.send_end()
        for _ in range(200):
            try:
                if not await self.receive_in_line("recv", 1 << 16):
                    break
            except OSError:
                continue  # one that had to wait for its bytes to be received
        assert not self.kept
        assert self.all_taken == self.sent


# Trio's own tasks cannot end in peace when the run does not.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("turn", range(4))
@settings(
    max_examples=50 if sys.platform == "win32" else 150,  # it is the same engine, slower
    phases=set(Phase) - {Phase.explain},  # which can take longer than a test may
)
@given(behaviour=behaviours(), made_here=st.booleans(), steps=scripts(STEPS))
def test_no_order_of_events_loses_a_byte_or_ends_the_run(
    turn: int, behaviour: Behaviour, made_here: bool, steps: list[Step]
) -> None:
    play(lambda simulation, clock: Connection(simulation, clock, made_here), behaviour, steps)
