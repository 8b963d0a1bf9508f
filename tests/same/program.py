"""A program as plain data: sockets, and runs of bursts of operations.

All operations of a burst happen in one step of one task, without a checkpoint between them.  After
each burst everything settles.  A program calls `trio.run` for each of its runs; the sockets stay
open from one to the next.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeAlias

#: How a socket is made.  The peer of a "hostile" one is a process of the system itself.
STREAMS = ("made", "adopted", "pair", "hostile")
DATAGRAMS = "datagrams"
TLS = "tls"

#: How many peers send to a socket for datagrams.
SENDERS = 3


class Short:
    """A base of data classes whose representation leaves out the defaults."""

    def __repr__(self) -> str:
        values = ((each, getattr(self, each.name)) for each in fields(self))  # type: ignore[arg-type]
        arguments = (f"{each.name}={value!r}" for each, value in values if value != each.default)
        return f"{type(self).__name__}({', '.join(arguments)})"


@dataclass(frozen=True, repr=False)
class Receive(Short):
    """A task that receives."""

    name: int  # by which `Cancel` finds it
    socket: int
    group: int = 0  # the nursery that the task is in
    call: str = "recv"
    size: int = 10
    times: int = 1  # how often it receives, one after the other
    deadline: float | None = None  # in seconds, for each receive
    frames: int | None = None  # so many below the recursion limit, each time one nearer
    caught: bool = True  # whether the task keeps its errors; otherwise the nursery raises them
    peek: bool = False


@dataclass(frozen=True, repr=False)
class Cancel(Short):
    """Cancel the task of one `Receive`, or a nursery, or all nurseries one after the other."""

    name: int | None = None
    group: int | None = None


@dataclass(frozen=True, repr=False)
class Close(Short):
    """Close a socket: "close" at once, "aclose" in a task, at its first step."""

    socket: int
    how: str = "close"


@dataclass(frozen=True, repr=False)
class Own(Short):
    """A task that holds a stream by `async with`, until its group is cancelled."""

    socket: int
    group: int = 0


@dataclass(frozen=True, repr=False)
class Shutdown(Short):
    """Shut a connection down: 0 its receiving side, 1 its sending side, 2 both."""

    socket: int
    how: int = 1


@dataclass(frozen=True, repr=False)
class Peer(Short):
    """The peer acts: "send"; "finish" ends the stream; "reset" if it is hostile; "drip".

    A socket for datagrams has several peers, of which one sends one datagram.  "drip" is a task in
    which the peer sends byte after byte, with a checkpoint after each.
    """

    socket: int
    how: str = "send"
    nbytes: int = 1
    sender: int = 0


@dataclass(frozen=True, repr=False)
class Send(Short):
    """A task that sends so many bytes of a stream."""

    socket: int
    nbytes: int = 1
    group: int = 0


@dataclass(frozen=True, repr=False)
class Busy(Short):
    """Tasks that take a millisecond for each of their steps."""

    tasks: int = 2
    rounds: int = 2


@dataclass(frozen=True, repr=False)
class HandOn(Short):
    """Replace the socket object, unless somebody receives on it: by "detach" or "dup"."""

    socket: int
    how: str = "detach"


Operation: TypeAlias = Receive | Cancel | Close | Own | Shutdown | Peer | Send | Busy | HandOn
Burst: TypeAlias = list[Operation]


@dataclass(frozen=True)
class Program:
    """How each socket is made, and the bursts of each run."""

    sockets: list[str]
    runs: list[list[Burst]]

    def bursts(self) -> list[Burst]:
        """Return the bursts of all runs, in order."""
        return [burst for run in self.runs for burst in run]

    def receives(self, socket: int | None = None) -> list[Receive]:
        """Return all receives, or those on a socket."""
        return [each for burst in self.bursts() for each in receives_of(burst, socket)]


def parse(text: str) -> Program:
    """Return the program of this representation."""
    program: Any = eval(text, globals())
    assert isinstance(program, Program)
    return program


def receives_of(burst: Burst, socket: int | None = None) -> list[Receive]:
    """Return the receives of a burst, or those on a socket."""
    receives = (each for each in burst if isinstance(each, Receive))
    return [each for each in receives if socket is None or each.socket == socket]
