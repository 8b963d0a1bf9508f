"""Any order of events that Hypothesis draws, with any behaviour of Windows: nothing is lost.

An example is a socket, a behaviour of Windows, and a list of steps: what the program, the peer, the
kernel and Trio do, one after the other.  However they come, the program receives what the peer has
sent, or its loss is reported, and nothing happens that would end a real run.
"""

from __future__ import annotations

import gc
import struct
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple
from unittest.mock import ANY

import pytest
import trio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from tests import datagrams
from tests.simulation import (
    Behaviour,
    Call,
    CancelAnswer,
    CrashingClock,
    Simulation,
    simulated_winsock,
)
from tests.simulation.behaviour import behaviours
from tests.simulation.sending import sockaddr_in
from tests.simulation.sockets import SocketOverSimulation
from tests.winsock.test_parse import cmsg
from trio_wsarecv import IncompleteReceiveError, MsgFlag, SocketStream, wsarecv
from trio_wsarecv._engine import receive, winsock
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


# Frequent steps are listed several times, so that they are drawn more often.
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


class Machine(ABC):
    """One example that is being played.

    Attributes:
      calls: the receives that have been started.
      alone: for each task that receives, whether it began while no other one was receiving.
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
        self.alone: dict[trio.lowlevel.Task, bool] = {}
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
        task = trio.lowlevel.current_task()
        self.alone = dict.fromkeys([*self.alone, task], not self.alone)
        try:
            await self.receive(how, nbytes)
        except trio.BusyResourceError:
            assert not self.alone[task], "nobody else is receiving"
            raise
        finally:
            del self.alone[task]

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
            # At the last checkpoint of a receive another one could begin, before the result of
            # the first is checked.
            patch.setattr(receive, "cancel_shielded_checkpoint", nothing)
            simulation.behave(behaviour)
            _run(lambda clock: machine(simulation, clock, made_here), steps)
            gc.collect()

    return test


# Connections.

STREAM_RECEIVES = ("recv", "recv_into", "receive_some", "exactly", "exactly_into", "scatter", "all")
GATHER = ("exactly", "exactly_into", "all")
FLAGS = {
    "all": MsgFlag.MSG_WAITALL,
    "wait_all": MsgFlag.MSG_WAITALL,
    "peek": MsgFlag.MSG_PEEK,
    "urgent": MsgFlag.MSG_OOB,
}

ON_STREAMS: list[Step] = [
    *COMMON,
    *(2 * receives(STREAM_RECEIVES, (3, 10, 5000))),
    *receives(("peek", "urgent", "wait_all"), (3, 5000)),
    *(6 * [Step("send", NtStatus.SUCCESS, nbytes) for nbytes in (2, 8, 3000)]),
    *(2 * [Step("send", NtStatus.SUCCESS, 20_000), Step("send urgent")]),
    Step("abort", NtStatus.INSUFFICIENT_RESOURCES),
    Step("send", NtStatus.RECEIVE_PARTIAL, 5),
    Step("send", NtStatus.RECEIVE_EXPEDITED, 5),
    Step("refuse", WinsockError.WSAENETDOWN),
    Step("end"),
    Step("reset"),
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
        """Return what this task has taken out of the kernel since the last call."""
        data: bytes = self.endpoint.taken.pop(trio.lowlevel.current_task(), b"")
        return data

    async def call(self, how: str, nbytes: int) -> bytes:
        """Receive; check that a buffer is not changed behind the bytes asked for."""
        parts = [bytearray(nbytes // 2), bytearray(nbytes - nbytes // 2)]
        buffer = bytearray(b"\xaa" * nbytes)
        try:
            match how:
                case "receive_some":
                    return await self.stream.receive_some()
                case "exactly":
                    return await self.stream.receive_exactly(nbytes)
                case "exactly_into":
                    await self.stream.receive_exactly_into(buffer)
                    return bytes(buffer)
                case "recv_into":
                    buffer += b"\xaa\xaa"
                    received = await self.sock.recv_into(buffer, nbytes)
                    assert buffer[received:] == b"\xaa" * (nbytes + 2 - received)
                    return bytes(buffer[:received])
                case "scatter" | "all":
                    received, _ = await wsarecv(self.sock, parts, FLAGS.get(how, 0))
                    return b"".join(parts)[:received]
            return await self.sock.recv(nbytes, FLAGS.get(how, 0))
        finally:
            for each in (*parts, buffer):
                each.append(0)  # nobody exports it any more

    async def peek(self, nbytes: int) -> None:
        data = await self.call("peek", nbytes)
        assert not self.taken()
        here = self.kept + PATTERN[self.all_taken : self.sent]
        assert here.startswith(data) or self.closed

    async def urgent(self, nbytes: int) -> None:
        if WinsockError.WSAENOBUFS in self.endpoint.refusals:
            return
        self.urgent_receives += 1
        try:
            data = await self.call("urgent", nbytes)
        finally:
            self.urgent_receives -= 1
        assert data == self.taken() == URGENT

    def may_be_refused(self, error: WinsockError | None) -> bool:
        # Without memory an urgent byte would be received by readiness, which never sleeps while
        # other data waits, as in stock Trio.
        return error != WinsockError.WSAENOBUFS or not self.urgent_receives

    async def receive(self, how: str, nbytes: int) -> None:
        if how in ("peek", "urgent"):
            await getattr(self, how)(nbytes)
        else:
            await self.receive_in_line(how, nbytes)

    async def receive_in_line(self, how: str, nbytes: int) -> int:
        """Receive, and compare the result with what went before; return its size."""
        closed = self.closed
        try:
            result = await self.call(how, nbytes)
        except IncompleteReceiveError as exc:
            self.given(exc.partial, self.taken())
            raise
        except BaseException:
            left = self.taken()
            self.all_taken += len(left)
            assert how in GATHER or not left
            if not self.closed:
                self.kept += left
            raise
        assert len(result) == nbytes or how not in ("exactly", "exactly_into")
        kept = self.kept  # now, since another receive may have run meanwhile
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
        is_open = not endpoint.ended and not endpoint.failure
        match step:
            case ("send", status, nbytes) if is_open:
                endpoint.send(PATTERN[self.sent : self.sent + nbytes], status)
                self.sent += nbytes
            case ("send urgent", _, _) if is_open:
                endpoint.send_urgent(URGENT)
            case ("end", _, _):
                endpoint.send_end()
            case ("reset", _, _):
                endpoint.reset()

    def check(self) -> None:
        super().check()
        if self.closed:
            self.kept = b""
        if not self.alone:
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
                continue  # an error that came with bytes
        assert not self.kept
        assert self.all_taken == self.sent


test_no_order_of_events_loses_a_byte_or_ends_the_run = plays(Connection, ON_STREAMS)


# Datagrams.  Each has a number, in its data, in its sender's port and in its control message.


@dataclass(frozen=True)
class Datagram:
    """A datagram that has been sent, with its sender and control message."""

    number: int
    data: bytes

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", 1000 + self.number

    @property
    def sockaddr(self) -> bytes:
        return sockaddr_in(b"\x7f\0\0\1", 1000 + self.number)

    @property
    def ancillary(self) -> list[tuple[int, int, bytes]]:
        return [(0, 19, struct.pack("@II", self.number, 0))]


DATAGRAM_RECEIVES = ("recv", "recv_into", "recvfrom", "recvfrom_into", "scatter", "peek")
MANY = ("recvfrom_many", "recvmsg_many")
MESSAGES = ("recvmsg", "recvmsg_into", "recvmsg without room", "recvmsg with little room")
TRUNC, CTRUNC, PEEK = MsgFlag.MSG_TRUNC, MsgFlag.MSG_CTRUNC, MsgFlag.MSG_PEEK
MOST = 3
CONTROL_SIZES = {"recvmsg without room": 0, "recvmsg with little room": 1}

ON_DATAGRAMS: list[Step] = [
    *COMMON,
    *receives((*DATAGRAM_RECEIVES, *MANY, *MESSAGES), (3, 10, 2000, 70_000)),
    *(8 * [Step("send", None, nbytes) for nbytes in (0, 8, 3000)]),
    Step("send", None, 65_507),
    Step("send error", NtStatus.PORT_UNREACHABLE),
    Step("send error", NtStatus.HOPLIMIT_EXCEEDED),
    Step("refuse", WinsockError.WSAENETDOWN),
]

# The errors of a receive that takes no datagram and no ICMP message.
WITHOUT_EFFECT = {
    WinsockError.WSAENOBUFS,
    WinsockError.WSAEFAULT,
    WinsockError.WSAESHUTDOWN,
    WinsockError.WSAENOTSOCK,
    WinsockError.WSAENETDOWN,
}
ICMP = {WinsockError.WSAECONNRESET, WinsockError.WSAENETRESET}


class Conversation(Machine):
    """A datagram socket, and what the program must see of it.

    Attributes:
      sent: what has been sent and not been received: datagrams and ICMP messages.
      deferred: the error that the last receive has left for the next one, which raises it even if
          it peeks.
    """

    def __init__(self, simulation: Simulation, clock: CrashingClock, made_here: bool) -> None:
        super().__init__(simulation, clock, simulation.datagrams(made_here=made_here))
        self.sent: list[Datagram | NtStatus] = []
        self.deferred: BaseException | None = None
        self.count = 0

    def peer_does(self, step: Step) -> None:
        self.count += 1
        match step:
            case ("send", _, nbytes):
                data = (struct.pack(">I", self.count) * (nbytes // 4 + 1))[:nbytes]
                datagram = Datagram(self.count, data)
                self.sent.append(datagram)
                control = cmsg(*datagram.ancillary[0])
                self.endpoint.send(data, datagram.sockaddr, control)
            case ("send error", status, _):
                self.sent.append(status)
                self.endpoint.send_error(status)

    async def receive(self, how: str, nbytes: int) -> None:
        takes = how != "peek"
        try:
            results = await self.results(how, nbytes)
        except OSError as error:
            self.check_error(error, nbytes, takes=takes or error is self.deferred)
            raise
        finally:
            self.deferred = self.sock.receiver.pushed_back.error
        assert 1 <= len(results) <= (MOST if how in MANY else 1)
        for result in results:
            self.check_result(how, nbytes, *result)

    def check_error(self, error: OSError, nbytes: int, *, takes: bool) -> None:
        code: int = error.winerror  # type: ignore[attr-defined,unused-ignore]
        if code == WinsockError.WSAEMSGSIZE:
            datagram = self.next(takes=takes)
            assert isinstance(datagram, Datagram)
            assert len(datagram.data) > nbytes
            assert error.partial == datagram.data[:nbytes]  # type: ignore[attr-defined]
        elif code in ICMP:
            assert isinstance(self.next(takes=takes), NtStatus)
        else:
            assert code in WITHOUT_EFFECT

    def without_messages(self, how: str) -> bool:
        sock = self.sock.stdlib
        kind = sock.family, sock.type, sock.proto
        return how == "recvmsg without room" and kind in winsock._without_messages

    def next(self, *, takes: bool) -> Datagram | NtStatus:
        """Return what has to be received next."""
        return self.sent.pop(0) if takes else self.sent[0]

    def check_result(
        self,
        how: str,
        nbytes: int,
        data: bytes,
        address: Any = ANY,
        flags: int | None = None,
        ancillary: Any = None,
    ) -> None:
        """Check a datagram, and what goes with it if the call tells about that."""
        datagram = self.next(takes=how != "peek")
        assert isinstance(datagram, Datagram)
        assert (data, address) == (datagram.data[:nbytes], datagram.address)
        assert bool(flags and flags & TRUNC) is (len(datagram.data) > nbytes)
        if ancillary is not None:
            assert flags is not None
            cut, told = how in CONTROL_SIZES, bool(flags & CTRUNC)
            assert ancillary == ([] if cut else datagram.ancillary)
            # Without WSARecvMsg, no flag tells about ancillary data; it may have worked when
            # this receive began.
            assert told is cut or (cut and self.without_messages(how))

    async def results(self, how: str, nbytes: int) -> list[Any]:
        """Receive; return the arguments of `check_result` for each datagram."""
        sock = self.sock
        match how:
            case "peek":
                return [(await sock.recv(nbytes, PEEK),)]
            case "recvfrom_many":
                batch = await sock.recvfrom_many(MOST, nbytes)
                return [(*each, TRUNC if each.truncated else 0) for each in batch]
            case "recvmsg_many":
                messages = await sock.recvmsg_many(MOST, nbytes, 100)
            case "recvmsg_into":
                halves = [bytearray(nbytes // 2), bytearray(nbytes - nbytes // 2)]
                count, *rest = await sock.recvmsg_into(halves, 100)
                messages = [(b"".join(halves)[:count], *rest)]
            case _ if how in MESSAGES:
                messages = [await sock.recvmsg(nbytes, CONTROL_SIZES.get(how, 100))]
            case _:
                data, address, truncated = await getattr(datagrams, how)(sock, nbytes)
                return [(data, address or ANY, TRUNC if truncated else 0)]
        return [(data, address, flags, ancillary) for data, ancillary, flags, address in messages]

    async def receive_the_rest(self) -> None:
        while self.sent:
            with suppress(OSError):  # an ICMP message
                await self.receive("recvmsg", 70_000)
        assert not self.endpoint.waiting


test_no_order_of_events_loses_a_datagram_or_ends_the_run = plays(Conversation, ON_DATAGRAMS)
