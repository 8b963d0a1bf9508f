"""The scenarios: what is done to a socket in each world, and what is expected."""

from __future__ import annotations

import enum
import socket
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from tools.windows import WINE


class Code(enum.IntEnum):
    """The codes of Win32 and Winsock that occur here."""

    NETNAME_DELETED = 64
    INVALID_PARAMETER = 87
    MORE_DATA = 234
    HANDLES_CLOSED = 676
    OPERATION_ABORTED = 995
    CONNECTION_ABORTED = 1236
    WSAEMSGSIZE = 10040
    WSAECONNRESET = 10054
    WSAESHUTDOWN = 10058


@dataclass(frozen=True)
class Result:
    """How a receive ended.

    Attributes:
      ending: "received", "cut off", "cancelled", "closed", "busy", "failed" or "refused".
      data: the bytes.
      error: the Winsock error, or the Win32 error of a refusal.
      code: the Win32 code of the completion, where there was one and it can be seen.
      sender: whether the address that came along is the peer's; None where none was asked for.
    """

    ending: str
    data: bytes = b""
    error: int | None = None
    code: int | None = None
    sender: bool | None = None

    def agrees_with(self, other: Result) -> bool:
        """Compare; the codes count only where both have one."""
        if self.code is None or other.code is None:
            return replace(self, code=None) == replace(other, code=None)
        return self == other


class Scenario(NamedTuple):
    """What is done to a socket, as methods of a world, and what the receives give, in order."""

    steps: str
    expected: list[Result]
    kind: socket.SocketKind = socket.SOCK_STREAM
    #: Whether the peer has to be one outside of Wine.
    is_hostile: bool = False

    async def play(self, world: Any) -> list[Result]:
        pending: list[Any] = []
        results = []
        for step in self.steps.split(", "):
            name, *arguments = step.split()
            match name:
                case "begin":  # with how much room, and whether the sender is asked for
                    room, sender = int(arguments[0]), "sender" in arguments
                    pending.append(await world.begin(room, sender))
                case "finish":
                    results.append(await world.finish(pending.pop(0)))
                case "cancel":
                    await world.cancel(pending[0])
                case "register_again":
                    results.append(await world.register_again())
                case "send":
                    await world.send("".join(arguments).encode())
                case _:
                    await getattr(world, name)()
        return results


def received(data: bytes, *, sender: bool | None = None) -> Result:
    return Result("received", data, code=0, sender=sender)


DATAGRAMS = socket.SOCK_DGRAM
CLOSED = Result("closed", code=Code.OPERATION_ABORTED)
CANCELLED = Result("cancelled", code=Code.OPERATION_ABORTED)
RESET = Result("failed", error=Code.WSAECONNRESET, code=Code.NETNAME_DELETED)
TRUNCATED = [Result("cut off", b"0123", Code.WSAEMSGSIZE, 0), received(b"next")]
RECEIVE = "begin 100, finish"

SCENARIOS = {
    "data before the receive": Scenario(f"send data, {RECEIVE}", [received(b"data")]),
    "data after the receive": Scenario("begin 100, send data, finish", [received(b"data")]),
    "more data than the receive takes": Scenario(
        f"begin 2, send data, finish, {RECEIVE}", [received(b"da"), received(b"ta")]
    ),
    "the end before the receive": Scenario(
        f"send data, end, {RECEIVE}, {RECEIVE}, {RECEIVE}",
        [received(b"data"), received(b""), received(b"")],
    ),
    "the end after the receive": Scenario("begin 100, end, finish", [received(b"")]),
    "a cancellation and then data": Scenario(
        f"begin 100, cancel, finish, send data, {RECEIVE}", [CANCELLED, received(b"data")]
    ),
    "data and then a cancellation": Scenario(
        f"begin 100, send data, cancel, finish, send more, {RECEIVE}",
        [received(b"data"), received(b"more")],
    ),
    "a receive of nothing": Scenario(
        f"begin 0, send data, finish, {RECEIVE}", [received(b""), received(b"data")]
    ),
    "closing while a receive waits": Scenario("begin 100, close, finish", [CLOSED]),
    "closing a datagram socket while a receive waits": Scenario(
        "begin 100, close, finish", [CLOSED], DATAGRAMS
    ),
    "closing when data is in": Scenario("begin 100, send data, close, finish", [received(b"data")]),
    "a reset while a receive waits": Scenario("begin 100, reset, finish", [RESET], is_hostile=True),
    "a receive after the receiving side was shut down": Scenario(
        f"shutdown, {RECEIVE}", [Result("failed", error=Code.WSAESHUTDOWN)]
    ),
    "a datagram that does not fit before the receive": Scenario(
        "send 0123456789, begin 4, finish, send next, begin 4, finish", TRUNCATED, DATAGRAMS
    ),
    "a datagram that does not fit after the receive": Scenario(
        "begin 4, send 0123456789, finish, send next, begin 4, finish", TRUNCATED, DATAGRAMS
    ),
    "datagrams with their sender": Scenario(
        "send data, begin 100 sender, finish, begin 100 sender, send, finish",
        [received(b"data", sender=True), received(b"", sender=True)],
        DATAGRAMS,
    ),
    "two receives at once": Scenario(
        "begin 4, begin 4, send 1234, send 5678, finish, finish",
        [received(b"1234"), Result("busy")],
    ),
    "a second association": Scenario(
        f"send data, {RECEIVE}, register_again, send more, {RECEIVE}",
        [received(b"data"), Result("refused", error=Code.INVALID_PARAMETER), received(b"more")],
    ),
}

#: What a scenario gives instead in CPython's ``_overlapped``.
DIFFERENCES = {
    # The handle is closed while the receive is pending; the package cancels the receive first.
    # Windows gives STATUS_CONNECTION_ABORTED then, Wine HANDLES_CLOSED.
    "closing while a receive waits": [
        Result("closed", code=Code.HANDLES_CLOSED if WINE else Code.CONNECTION_ABORTED)
    ],
    # CPython takes WSAEMSGSIZE for a refusal, and frees the buffer and what the kernel has written
    # into it; a packet comes nonetheless, and nobody waits for it.
    "a datagram that does not fit before the receive": [
        Result("failed", error=Code.WSAEMSGSIZE, code=Code.MORE_DATA),
        received(b"next"),
    ],
    # CPython takes ERROR_MORE_DATA for success and does not report that the rest is lost.
    "a datagram that does not fit after the receive": [
        Result("received", b"0123", code=Code.MORE_DATA),
        received(b"next"),
    ],
    # The kernel fills the buffers of several receives in order; the package allows one at a time,
    # since cancelling one of several on a connection cancels all of them.
    "two receives at once": [received(b"1234"), received(b"5678")],
}
if WINE:  # Windows gives STATUS_CANCELLED for datagrams, as for a cancelled receive
    DIFFERENCES["closing a datagram socket while a receive waits"] = [
        Result("closed", code=Code.HANDLES_CLOSED)
    ]
