"""A program as plain data: sockets, and runs of bursts of operations; to JSON and back.

All operations of a burst stand in one step of one task: there is no checkpoint between them.
After each burst everything settles.  A program has one `trio.run` for each of its runs, and its
sockets go on from one to the next.
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
      name: the number by which `CancelOne` finds it.
      socket: the number of the socket.
      group: the number of the nursery that the task is in.
      call: the method.
      size: how much it asks for.
      times: how often it receives, one after the other.
      deadline: the seconds that each receive may take; None without a deadline.
      frames: how far below the recursion limit it receives, in frames, each time a frame nearer;
        None if far enough.
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
class CancelOne:
    """Cancel the task of one `Receive`."""

    name: int


@dataclass(frozen=True)
class CancelGroup:
    """Cancel a nursery; None for all of them, one after the other."""

    group: int | None = None


@dataclass(frozen=True)
class Close:
    """Close a socket: "close" there and then, "aclose" in a task, at its first step."""

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
class PeerSends:
    """The peer sends; of datagrams, one of the peers one datagram."""

    socket: int
    nbytes: int = 1
    sender: int = 0


@dataclass(frozen=True)
class PeerFinishes:
    """The peer sends the end of the stream."""

    socket: int


@dataclass(frozen=True)
class PeerResets:
    """The peer resets the connection; a "hostile" one only."""

    socket: int


@dataclass(frozen=True)
class Drip:
    """A task that has the peer send byte after byte, with a checkpoint after each."""

    socket: int
    nbytes: int = 3


@dataclass(frozen=True)
class Send:
    """A task that sends bytes of a stream, by "send_all" or by "sendmsg"."""

    socket: int
    nbytes: int = 1
    group: int = 0
    how: str = "send_all"


@dataclass(frozen=True)
class SendMany:
    """A task that sends datagrams to the peers in turn; the one of this number is too large."""

    socket: int
    datagrams: int = 1
    group: int = 0
    too_large: int | None = None


@dataclass(frozen=True)
class Busy:
    """Tasks that take a millisecond for each of their steps."""

    tasks: int = 2
    rounds: int = 2


@dataclass(frozen=True)
class HandOn:
    """Put another socket object in the place of one that nobody receives on."""

    socket: int
    how: str = "detach"


Operation: TypeAlias = (
    Receive
    | CancelOne
    | CancelGroup
    | Close
    | Own
    | Shutdown
    | PeerSends
    | PeerFinishes
    | PeerResets
    | Drip
    | Send
    | SendMany
    | Busy
    | HandOn
)
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

    def to_json(self) -> str:
        runs = [[[_to_data(each) for each in burst] for burst in run] for run in self.runs]
        return json.dumps({"sockets": self.sockets, "runs": runs})

    @classmethod
    def from_json(cls, text: str) -> Program:
        data = json.loads(text)
        runs = [[[_from_data(*each) for each in burst] for burst in run] for run in data["runs"]]
        return cls(data["sockets"], runs)

    def __str__(self) -> str:
        lines = [f"sockets: {', '.join(self.sockets)}"]
        number = 0
        for run in self.runs:
            lines.append("run:")
            for burst in run:
                lines += [f"  burst {number}:", *(f"    {_shown(each)}" for each in burst)]
                number += 1
        return "\n".join(lines)


def _arguments(operation: Operation) -> dict[str, Any]:
    # Without those that are as usual.
    values = {each.name: getattr(operation, each.name) for each in fields(operation)}
    usual = {each.name: each.default for each in fields(operation)}
    return {name: value for name, value in values.items() if value != usual[name]}


def _to_data(operation: Operation) -> tuple[str, dict[str, Any]]:
    return type(operation).__name__, _arguments(operation)


def _from_data(name: str, arguments: dict[str, Any]) -> Operation:
    operation: Operation = _CLASSES[name](**arguments)
    return operation


def _shown(operation: Operation) -> str:
    arguments = ", ".join(f"{name}={value!r}" for name, value in _arguments(operation).items())
    return f"{type(operation).__name__}({arguments})"
