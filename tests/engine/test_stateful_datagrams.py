"""Datagrams in any order of events that Hypothesis draws, with any behaviour of Windows.

Each datagram has a number, in its data, in its sender's port and in its control message.  However
the events come, each is received once and in order, with its own sender and control message, or
its loss is reported, and nothing that would be the end of a real run happens.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from unittest.mock import ANY

from tests.simulation import CrashingClock, Simulation
from tests.simulation.sending import sockaddr_in
from tests.winsock.test_parse import cmsg
from trio_wsarecv import MsgFlag, wsarecv
from trio_wsarecv._engine import winsock
from trio_wsarecv._winsock.codes import NtStatus, WinsockError

from .machine import COMMON, Machine, Step, plays, receives


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


HOW = ("recv", "recv_into", "recvfrom", "recvfrom_into", "wsarecv", "peek")
MANY = ("recvfrom_many", "recvmsg_many")
MESSAGES = ("recvmsg", "recvmsg_into", "recvmsg without room", "recvmsg with little room")
TRUNC, CTRUNC, PEEK = MsgFlag.MSG_TRUNC, MsgFlag.MSG_CTRUNC, MsgFlag.MSG_PEEK
MOST = 3
CONTROL_SIZES = {"recvmsg without room": 0, "recvmsg with little room": 1}

STEPS: list[Step] = [
    *COMMON,
    *receives((*HOW, *MANY, *MESSAGES), (3, 10, 2000, 70_000)),
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
        sock, buffer = self.sock, bytearray(nbytes)
        halves = [bytearray(nbytes // 2), bytearray(nbytes - nbytes // 2)]
        match how:
            case "recv":
                return [(await sock.recv(nbytes),)]
            case "peek":
                return [(await sock.recv(nbytes, PEEK),)]
            case "recvfrom":
                return [await sock.recvfrom(nbytes)]
            case "recv_into":
                return [(buffer[: await sock.recv_into(buffer)],)]
            case "recvfrom_into":
                count, address = await sock.recvfrom_into(buffer)
                return [(buffer[:count], address)]
            case "wsarecv":
                result = await wsarecv(sock, halves)
                return [(b"".join(halves)[: result.nbytes], ANY, result.flags)]
            case "recvfrom_many":
                batch = await sock.recvfrom_many(MOST, nbytes)
                return [(*each, TRUNC if each.truncated else 0) for each in batch]
            case "recvmsg_many":
                messages = await sock.recvmsg_many(MOST, nbytes, 100)
            case "recvmsg_into":
                count, *rest = await sock.recvmsg_into(halves, 100)
                messages = [(b"".join(halves)[:count], *rest)]
            case _:
                messages = [await sock.recvmsg(nbytes, CONTROL_SIZES.get(how, 100))]
        return [(data, address, flags, ancillary) for data, ancillary, flags, address in messages]

    async def receive_the_rest(self) -> None:
        while self.sent:
            with suppress(OSError):  # an ICMP message
                await self.receive("recvmsg", 70_000)
        assert not self.endpoint.waiting


test_no_order_of_events_loses_a_datagram_or_ends_the_run = plays(Conversation, STEPS)
