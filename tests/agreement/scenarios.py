"""The scenarios: what is done to a socket in each world, and what is expected."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from typing import Any

WSAEMSGSIZE = 10040
WSAECONNRESET = 10054
WSAESHUTDOWN = 10058
ERROR_INVALID_PARAMETER = 87

ABORTED = 995
NETNAME_DELETED = 64


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


#: The name of a world's method, with its arguments if there are any.
Step = str | tuple[Any, ...]


@dataclass(frozen=True)
class Scenario:
    """A scenario.

    Attributes:
      steps: what is done.
      expected: what the receives give, in order.
      kind: of socket.
      hostile: whether the peer has to be one outside of Wine.
    """

    steps: list[Step]
    expected: list[Result]
    kind: socket.SocketKind = socket.SOCK_STREAM
    hostile: bool = False

    async def play(self, world: Any) -> list[Result]:
        pending: list[Any] = []
        results = []
        for step in self.steps:
            name, *arguments = step if isinstance(step, tuple) else (step,)
            method = getattr(world, name)
            if name == "begin":
                pending.append(await method(*arguments))
            elif name == "finish":
                results.append(await method(pending.pop(0)))
            elif name == "cancel":
                await method(pending[0])
            elif name == "register_again":
                results.append(await method())
            else:
                await method(*arguments)
        return results


def received(data: bytes, **more: Any) -> Result:
    return Result("received", data, code=0, **more)


def send(data: bytes) -> Step:
    return "send", data


def begin(nbytes: int, sender: bool = False) -> Step:
    return "begin", nbytes, sender


RECEIVE = [begin(100), "finish"]
DATAGRAMS = socket.SOCK_DGRAM
TRUNCATED = [Result("cut off", b"0123", WSAEMSGSIZE, 0), received(b"next")]

SCENARIOS = {
    "data before the receive": Scenario([send(b"data"), *RECEIVE], [received(b"data")]),
    "data after the receive": Scenario([begin(100), send(b"data"), "finish"], [received(b"data")]),
    "more data than the receive takes": Scenario(
        [begin(2), send(b"data"), "finish", *RECEIVE], [received(b"da"), received(b"ta")]
    ),
    "the end before the receive": Scenario(
        [send(b"data"), "end", *RECEIVE, *RECEIVE, *RECEIVE],
        [received(b"data"), received(b""), received(b"")],
    ),
    "the end after the receive": Scenario([begin(100), "end", "finish"], [received(b"")]),
    "a cancellation and then data": Scenario(
        [begin(100), "cancel", "finish", send(b"data"), *RECEIVE],
        [Result("cancelled", code=ABORTED), received(b"data")],
    ),
    "data and then a cancellation": Scenario(
        [begin(100), send(b"data"), "cancel", "finish", send(b"more"), *RECEIVE],
        [received(b"data"), received(b"more")],
    ),
    "a receive of nothing": Scenario(
        [begin(0), send(b"data"), "finish", *RECEIVE], [received(b""), received(b"data")]
    ),
    "closing while a receive waits": Scenario(
        [begin(100), "close", "finish"], [Result("closed", code=ABORTED)]
    ),
    "closing a datagram socket while a receive waits": Scenario(
        [begin(100), "close", "finish"], [Result("closed", code=ABORTED)], DATAGRAMS
    ),
    "closing when data is in": Scenario(
        [begin(100), send(b"data"), "close", "finish"], [received(b"data")]
    ),
    "a reset while a receive waits": Scenario(
        [begin(100), "reset", "finish"],
        [Result("failed", error=WSAECONNRESET, code=NETNAME_DELETED)],
        hostile=True,
    ),
    "a receive after the receiving side was shut down": Scenario(
        ["shutdown", *RECEIVE], [Result("failed", error=WSAESHUTDOWN)]
    ),
    "a datagram that does not fit before the receive": Scenario(
        [send(b"0123456789"), begin(4), "finish", send(b"next"), begin(4), "finish"],
        TRUNCATED,
        DATAGRAMS,
    ),
    "a datagram that does not fit after the receive": Scenario(
        [begin(4), send(b"0123456789"), "finish", send(b"next"), begin(4), "finish"],
        TRUNCATED,
        DATAGRAMS,
    ),
    "datagrams with their sender": Scenario(
        [
            send(b"data"),
            begin(100, sender=True),
            "finish",
            begin(100, sender=True),
            send(b""),
            "finish",
        ],
        [received(b"data", sender=True), received(b"", sender=True)],
        DATAGRAMS,
    ),
    "two receives at once": Scenario(
        [begin(4), begin(4), send(b"1234"), send(b"5678"), "finish", "finish"],
        [received(b"1234"), Result("busy")],
    ),
    "a second association": Scenario(
        [send(b"data"), *RECEIVE, "register_again", send(b"more"), *RECEIVE],
        [received(b"data"), Result("refused", error=ERROR_INVALID_PARAMETER), received(b"more")],
    ),
}
