"""The scenarios: what is done to a socket in each world, and what is expected."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any, Protocol

from .result import Result

WSAEMSGSIZE = 10040
WSAECONNRESET = 10054
WSAESHUTDOWN = 10058
ERROR_INVALID_PARAMETER = 87

ABORTED = 995
NETNAME_DELETED = 64


class World(Protocol):
    """A socket that receives, and its peer."""

    async def begin(self, nbytes: int, *, sender: bool = False) -> Any:
        """Submit a receive.  One of 0 bytes is into an empty buffer."""

    async def finish(self, receive: Any) -> Result:
        """Wait until a receive has ended."""

    def cancel(self, receive: Any) -> None: ...

    def close(self) -> None: ...

    def shutdown(self) -> None:
        """Shut the receiving side down."""

    async def send(self, data: bytes) -> None:
        """Have the peer send, and wait until the kernel here has it."""

    async def end(self) -> None:
        """Have the peer end the stream, and wait until the kernel here knows."""

    async def reset(self) -> None:
        """Have the peer reset the connection, and wait until the kernel here knows."""

    async def register_again(self) -> Result:
        """Try to associate the socket with a completion port once more."""


#: A method of `World`, with its arguments if there are any.
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

    async def play(self, world: World) -> list[Result]:
        pending: list[Any] = []
        results = []
        for step in self.steps:
            match step:
                case ("begin", nbytes, sender):
                    pending.append(await world.begin(nbytes, sender=sender))
                case "finish":
                    results.append(await world.finish(pending.pop(0)))
                case "cancel":
                    world.cancel(pending[0])
                case "close":
                    world.close()
                case "shutdown":
                    world.shutdown()
                case ("send", data):
                    await world.send(data)
                case "end":
                    await world.end()
                case "reset":
                    await world.reset()
                case "register again":
                    results.append(await world.register_again())
                case _:
                    raise ValueError(step)
        return results


def received(data: bytes, **more: Any) -> Result:
    return Result("received", data, code=0, **more)


def send(data: bytes) -> Step:
    return "send", data


def begin(nbytes: int, *, sender: bool = False) -> Step:
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
        [send(b"data"), *RECEIVE, "register again", send(b"more"), *RECEIVE],
        [received(b"data"), Result("refused", error=ERROR_INVALID_PARAMETER), received(b"more")],
    ),
}
