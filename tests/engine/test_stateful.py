"""Connections in any order of events that Hypothesis draws, with any behaviour of Windows.

In any order the program receives what the peer has sent, and nothing happens that would end a real
run.
"""

from __future__ import annotations

import trio

from tests.simulation import CrashingClock, Simulation
from trio_wsarecv import IncompleteReceiveError, MsgFlag, SocketStream, WinsockError, wsarecv
from trio_wsarecv._winsock.codes import NtStatus

from .machine import COMMON, Machine, Step, plays, receives

HOW = ("recv", "recv_into", "receive_some", "exactly", "exactly_into", "scatter", "all")
GATHER = ("exactly", "exactly_into", "all")
FLAGS = {
    "all": MsgFlag.MSG_WAITALL,
    "wait_all": MsgFlag.MSG_WAITALL,
    "peek": MsgFlag.MSG_PEEK,
    "urgent": MsgFlag.MSG_OOB,
}

STEPS: list[Step] = [
    *COMMON,
    *(2 * receives(HOW, (3, 10, 5000))),
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
                continue  # an error that came with bytes
        assert not self.kept
        assert self.all_taken == self.sent


test_no_order_of_events_loses_a_byte_or_ends_the_run = plays(Connection, STEPS)
