"""A program as plain data: sockets, and runs of bursts of operations; to JSON and back.

All operations of a burst happen in one step of one task, without a checkpoint between them.  After
each burst everything settles.  A program calls `trio.run` for each of its runs; the sockets stay
open from one to the next.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

#: How a socket is made.  The peer of a "hostile" one is a process of the system itself.
STREAMS = ("made", "adopted", "pair", "hostile")
DATAGRAMS = "datagrams"
TLS = "tls"

#: How many peers send to a socket for datagrams.
SENDERS = 3


@dataclass(frozen=True)
class Receive:
    """A task that receives.

    Attributes:
      name: the number by which `Cancel` finds it.
      socket: the number of the socket.
      group: the number of the nursery that the task is in.
      call: the method.
      size: how much it asks for.
      times: how often it receives, one after the other.
      deadline: the seconds that each receive may take; None without a deadline.
      frames: how many frames below the recursion limit it receives, each time one nearer; None if
        far enough.
      caught: whether the task keeps its errors; otherwise they leave it for the nursery.
      peek: whether the data stays.
    """

    name: int
    socket: int
    group: int = 0
    call: str = "recv"
    size: int = 10
    times: int = 1
    deadline: float | None = None
    frames: int | None = None
    caught: bool = True
    peek: bool = False


@dataclass(frozen=True)
class Cancel:
    """Cancel the task of one `Receive`, or a nursery, or all nurseries one after the other."""

    name: int | None = None
    group: int | None = None


@dataclass(frozen=True)
class Close:
    """Close a socket: "close" at once, "aclose" in a task, at its first step."""

    socket: int
    how: str = "close"


@dataclass(frozen=True)
class Own:
    """A task that holds a stream by `async with`, until its group is cancelled."""

    socket: int
    group: int = 0


@dataclass(frozen=True)
class Shutdown:
    """Shut a connection down: 0 its receiving side, 1 its sending side, 2 both."""

    socket: int
    how: int = 1


@dataclass(frozen=True)
class Peer:
    """The peer acts: "send"; "finish" ends the stream; "reset" if it is hostile; "drip".

    A socket for datagrams has several peers, of which one sends one datagram.  "drip" is a task in
    which the peer sends byte after byte, with a checkpoint after each.
    """

    socket: int
    how: str = "send"
    nbytes: int = 1
    sender: int = 0


@dataclass(frozen=True)
class Send:
    """A task that sends: so many bytes by "send_all" or "sendmsg", datagrams by "sendto_many".

    Datagrams go to the peers in turn; the one of the number `too_large` is too large.
    """

    socket: int
    how: str = "send_all"
    count: int = 1
    group: int = 0
    too_large: int | None = None


@dataclass(frozen=True)
class Busy:
    """Tasks that take a millisecond for each of their steps."""

    tasks: int = 2
    rounds: int = 2


@dataclass(frozen=True)
class HandOn:
    """Replace the socket object, unless somebody receives on it: by "detach" or "dup"."""

    socket: int
    how: str = "detach"


Operation: TypeAlias = Receive | Cancel | Close | Own | Shutdown | Peer | Send | Busy | HandOn
Burst: TypeAlias = list[Operation]

_CLASSES: dict[str, type[Any]] = {each.__name__: each for each in Operation.__args__}


@dataclass(frozen=True)
class Program:
    """A program.

    Attributes:
      sockets: how each is made.
      runs: the bursts of each run.
    """

    sockets: list[str] = field(default_factory=list)
    runs: list[list[Burst]] = field(default_factory=list)

    def bursts(self) -> list[Burst]:
        """Return the bursts of all runs, in order."""
        return [burst for run in self.runs for burst in run]

    def receives(self, socket: int | None = None) -> list[Receive]:
        """Return all receives, or those on a socket."""
        return [each for burst in self.bursts() for each in receives_of(burst, socket)]

    def to_json(self) -> str:
        def to_data(operation: Operation) -> tuple[str, dict[str, Any]]:
            return type(operation).__name__, _arguments(operation)

        runs = [[[to_data(each) for each in burst] for burst in run] for run in self.runs]
        return json.dumps({"sockets": self.sockets, "runs": runs})

    @classmethod
    def from_json(cls, text: str) -> Program:
        data = json.loads(text)
        runs = [
            [[_CLASSES[name](**arguments) for name, arguments in burst] for burst in run]
            for run in data["runs"]
        ]
        return cls(data["sockets"], runs)

    def __str__(self) -> str:
        lines = [f"sockets: {', '.join(self.sockets)}"]
        number = 0
        for run in self.runs:
            lines.append("run:")
            for burst in run:
                lines.append(f"  burst {number}:")
                for each in burst:
                    arguments = (f"{name}={value!r}" for name, value in _arguments(each).items())
                    lines.append(f"    {type(each).__name__}({', '.join(arguments)})")
                number += 1
        return "\n".join(lines)


def receives_of(burst: Burst, socket: int | None = None) -> list[Receive]:
    """Return the receives of a burst, or those on a socket."""
    receives = (each for each in burst if isinstance(each, Receive))
    return [each for each in receives if socket is None or each.socket == socket]


def _arguments(operation: Operation) -> dict[str, Any]:
    # Without those that have their defaults.
    values = ((each, getattr(operation, each.name)) for each in fields(operation))
    return {each.name: value for each, value in values if value != each.default}
