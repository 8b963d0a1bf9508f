"""A program as plain data, sockets and runs of bursts of operations; and random programs.

All operations of a burst happen in one step of one task, without a checkpoint between them.  After
each burst everything settles.  A program calls `trio.run` for each of its runs; the sockets stay
open from one to the next.  In most random programs several things happen at once.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

#: How a socket is made.  The peer of a "hostile" one is a process of the system itself.
STREAMS = ("made", "adopted", "pair", "hostile")
DATAGRAMS = "datagrams"
TLS = "tls"

SENDERS = 3  # the peers of a socket for datagrams


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
    frames: int | None = None  # left to the recursion limit; one fewer each time
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


KINDS = {"made": 4, "adopted": 3, "pair": 3, "hostile": 2, DATAGRAMS: 3, TLS: 1}
CALLS = ("recv", "recv_into", "recvfrom", "recvfrom_into")
SIZES = (0, 1, 2, 10, 100, 1024, 1025, 4096, 16384, 65536)
SIZE_WEIGHTS = (1, 4, 4, 8, 4, 2, 3, 4, 3, 4)
AMOUNTS = (1, 2, 3, 10, 100, 1024, 1025, 5000, 60_000)
AMOUNT_WEIGHTS = (6, 4, 4, 4, 4, 2, 2, 3, 1)
# None, immediate, before the next turn of a busy loop, and never reached.
DEADLINES = (None, 0.0, 0.0005, 0.001, 50.0)
DEADLINE_WEIGHTS = (12, 1, 1, 1, 1)
GROUPS = 3
LONG = 15  # as many receives in a row take all the data
MOST_FRAMES = 60
USUAL_FRAMES = (4, 20)  # around the limit where most receives begin to fail

#: What a burst may consist of: steps that meet.
MEETINGS = (
    *("receive", "send", "send, cancel", "cancel, close", "cancel, send, receive"),
    *("cancel, receive", "receive, receive", "receive, receive, send", "close, receive"),
    *("receive, close", "send, close", "send, receive", "receive, send, cancel", "own"),
    *("busy, flood, receive", "flood, busy, impatient", "finish", "reset", "shutdown"),
    *("transmit", "transmit, cancel", "transmit, close", "receive, send, transmit"),
    *("drip", "hand on"),
)

#: The same in a program that receives near the recursion limit, where stock Trio can crash too.
DEEP = ("deep, send", "send, deep", "receive, deep, send", "deep, cancel", "deep, close")
DEEP_PROGRAMS = 0.25


class Generator:
    """Generates one program."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._names = 0
        self._receives: dict[int, list[Receive]] = {}
        self._kinds: list[str] = []
        self._deep = self._rng.random() < DEEP_PROGRAMS

    def program(self) -> Program:
        rng = self._rng
        self._kinds = rng.choices(list(KINDS), list(KINDS.values()), k=rng.choice((1, 1, 2, 3)))
        runs = 2 if rng.random() < 0.15 else 1
        return Program(self._kinds, [self._run() for _ in range(runs)])

    def _run(self) -> list[Burst]:
        self._receives = {index: [] for index in range(len(self._kinds))}
        return [self._burst() for _ in range(self._rng.randint(2, 6))]

    def _burst(self) -> Burst:
        burst: Burst = []
        for _ in range(self._rng.choice((1, 1, 1, 2))):
            socket = self._rng.randrange(len(self._kinds))
            meetings = DEEP if self._deep and self._rng.random() < 0.5 else MEETINGS
            for step in self._rng.choice(meetings).split(", "):
                operation = self._step(step, socket)
                burst += [operation] if operation else []
        return burst

    def _step(self, step: str, socket: int) -> Operation | None:
        rng = self._rng
        kind = self._kinds[socket]
        stream = kind != DATAGRAMS
        match step:
            case "receive":
                return self._receive(socket)
            case "impatient" if kind != TLS:
                size = rng.choice((1025, 4096, 16384))
                return self._receive(socket, size=size, times=LONG, deadline=0.001, peek=False)
            case "deep" if kind != TLS:
                frames = rng.choice((rng.randint(1, MOST_FRAMES), rng.randint(*USUAL_FRAMES)))
                times = rng.choice((1, LONG))
                return self._receive(socket, frames=frames, times=times, deadline=None)
            case "send":
                (nbytes,) = rng.choices(AMOUNTS, AMOUNT_WEIGHTS)
                return Peer(socket, "send", nbytes, 0 if stream else rng.randrange(SENDERS))
            case "flood" if stream:
                return Peer(socket, "send", 60_000)
            case "busy":
                return Busy(rng.randint(1, 6), rng.randint(1, 4))
            case "cancel":
                return self._cancel(socket)
            case "close" | "own" if kind == TLS or not stream:
                return Close(socket, "close") if rng.random() < 0.3 else None
            case "close":
                return Close(socket, rng.choice(("close", "aclose")))
            case "own":
                return Own(socket, rng.randrange(GROUPS))
            case "finish" if stream:
                return Peer(socket, "finish")
            case "reset" if kind == "hostile":
                return Peer(socket, "reset")
            case "shutdown" if kind in STREAMS:
                return Shutdown(socket, rng.choice((0, 1, 1, 2)))
            case "transmit" if stream:
                return Send(socket, rng.choice((1, 100, 2000)), rng.randrange(GROUPS))
            case "drip" if stream:
                return Peer(socket, "drip", rng.randint(2, 4))
            case "hand on" if kind in STREAMS:
                return HandOn(socket, rng.choice(("detach", "dup")))
        return None

    def _cancel(self, socket: int) -> Cancel | None:
        receives = self._receives[socket]
        chance = self._rng.random()
        if chance < 0.1:
            return Cancel()
        if not receives:
            return None
        receive = self._rng.choice(receives[-2:])
        return Cancel(receive.name) if chance < 0.5 else Cancel(group=receive.group)

    def _receive(self, socket: int, **options: object) -> Receive:
        rng = self._rng
        kind = self._kinds[socket]
        self._names += 1
        if kind == TLS or (kind in STREAMS and rng.random() < 0.4):
            call = "receive_some"
        else:
            call = rng.choice(CALLS)
        (size,) = rng.choices(SIZES, SIZE_WEIGHTS)
        (deadline,) = rng.choices(DEADLINES, DEADLINE_WEIGHTS)
        if kind == TLS and deadline:
            deadline = 50.0  # other tasks may run in the middle, for long
        chosen: dict[str, object] = {
            "group": rng.randrange(GROUPS),
            "call": call,
            "size": size or int(call == "receive_some"),
            "times": rng.choice((1, 1, 1, 2, 3, LONG)),
            "deadline": deadline,
            "caught": rng.random() < 0.8,
            "peek": call != "receive_some" and rng.random() < 0.06,
        }
        receive = Receive(self._names, socket, **{**chosen, **options})  # type: ignore[arg-type]
        others = self._receives[socket]
        # Two long series would meet in more orders than stock Trio could ever show.
        if any(each.times == LONG for each in others) or (receive.times == LONG and others[1:]):
            receive = replace(receive, times=1)
        self._receives[socket].append(receive)
        return receive


def generate(seed: int) -> Program:
    """Generate the program of this seed."""
    return Generator(seed).program()
