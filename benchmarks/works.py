"""What is measured, by which subjects, and which figure of each is compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from .machine import Child, Machine, build
from .programs import BATCH, BURST, DATAGRAM_SIZE, DATAGRAMS, MESSAGE, PIECE, ROUND
from .results import OURS, RAW, RUN, SOCKET, STOCK, Figure

PROGRAMS: Final = Path(__file__).parent / "programs"

LOOPS: Final = ("asyncio", "winloop")
RAW_SKIP: Final = f"{RAW}, skip on success"
STOCK_DATAGRAMS: Final = f"{STOCK} recvfrom"
RUN_DATAGRAMS: Final = f"{RUN} recvfrom"
CALLS: Final = ("recvfrom", "recvfrom_into", "recvfrom_many", "sendto_many", "recvmsg")
BARE: Final = f"{STOCK} wait_overlapped"

# Which subjects do a work; the others are compared with the first.
TRIO: Final = (STOCK, OURS, RUN)
FEW: Final = (*TRIO, RAW)  # Wine has no handles for thousands of connections of all subjects
STREAMS: Final = (*TRIO, *LOOPS, RAW, RAW_SKIP)
FLOODS: Final = (STOCK, SOCKET, OURS, RUN, *LOOPS, RAW, RAW_SKIP)
SERVERS: Final = (STOCK_DATAGRAMS, RUN_DATAGRAMS, *(f"{OURS} {call}" for call in CALLS))
RECEIVERS: Final = (*SERVERS, BARE, *LOOPS, RAW)


def started(where: Machine, names: Iterable[str]) -> AbstractContextManager[dict[str, Child]]:
    """Start these subjects, which end with the block."""
    raw = (*where.launcher, str(build("raw", "-lws2_32")))

    def program(*arguments: str, run: bool = False) -> tuple[str, ...]:
        return where.python(PROGRAMS / "trio_program.py", *arguments, run=run)

    commands = {
        STOCK: program(STOCK, "streams"),
        SOCKET: program(STOCK, "sockets"),
        OURS: program(OURS, "streams"),
        RUN: program(STOCK, "streams", run=True),
        STOCK_DATAGRAMS: program(STOCK, "recvfrom"),
        RUN_DATAGRAMS: program(STOCK, "recvfrom", run=True),
        **{f"{OURS} {call}": program(OURS, call) for call in CALLS},
        BARE: program(STOCK, "wait_overlapped"),
        **{loop: where.python(PROGRAMS / "asyncio_program.py", loop) for loop in LOOPS},
        RAW: (*raw, "packets"),
        RAW_SKIP: (*raw, "skip"),
    }
    return where.started({name: commands[name] for name in names})


def processor_per(what: str) -> Figure:
    return Figure(f"processor time per {what}", "µs")


MIB: Final = 1 << 20
THROUGHPUT: Final = Figure("throughput", "MiB/s", True)
REQUESTS: Final = Figure("requests per second", "1/s", True)
MEMORY: Final = Figure("resident memory per connection", "KiB")


class Work(NamedTuple):
    """One thing that all its subjects do, each in its own way."""

    key: str
    title: str
    subjects: Sequence[str]
    name: str  # what the subjects call it
    load: str  # what the generator does
    processor: Figure  # the processor time per unit
    figure: Figure | None = None  # what is compared, if not the processor time alone
    unit: float = 1  # how many units each round of the generator has
    connections: int = 1
    rate: int = 0  # messages per second, all connections together; 0 for as many as possible
    size: int = MESSAGE  # of a message, in bytes
    start: int = 1  # how many times to do it at first, to find out how long it takes

    @property
    def needs_machine(self) -> bool:
        """Whether it gets a machine of its own: Wine's server is slow to forget connections."""
        return self.connections >= 1000


_paced = partial(Work, name="paced", load="paced", processor=processor_per("message"), rate=1000)
_flood = partial(Work, processor=processor_per("MiB"), figure=THROUGHPUT, unit=ROUND / MIB)
_echo = partial(Work, processor=processor_per("request"), figure=REQUESTS, start=300)
_datagrams = partial(Work, name="datagrams", processor=processor_per("datagram"))
_idle = partial(Work, processor=MEMORY, size=BURST)

_FRAMES: Final = "frames of 16 KiB to 1 MiB behind a 4-byte length"
_DRY: Final = "a flood that runs dry: 64 KiB at a time, as fast as Trio takes them"
_BURST: Final = f"{DATAGRAMS} datagrams of {DATAGRAM_SIZE:,} bytes at a time"
_ECHO: Final = (RECEIVERS, "datagrams-echo", "datagrams-echo")
_DNS: Final = ((*SERVERS, *LOOPS), "datagrams-dns", "datagrams-dns")

WORKS: Final = (
    _paced("paced-1", "64-byte messages, 1 × 1000/s", STREAMS),
    _paced("paced-20", "64-byte messages, 20 × 50/s", STREAMS, connections=20),
    _paced("paced-1000", "64-byte messages, 1,000 × 1/s", FEW, connections=1000),
    _paced("paced-4000", "64-byte messages, 4,000 × 0.25/s", FEW, connections=4000),
    _paced("size-1500", "1,500-byte messages, 1 × 1000/s", STREAMS, size=1500),
    _paced("size-16000", "16,000-byte messages, 1 × 1000/s", STREAMS, size=16000),
    _flood("bulk", "a flood into one buffer of 256 KiB", FLOODS, "bulk", "flood"),
    _flood("chunks", "a flood in chunks of default size", (*TRIO, *LOOPS), "chunks", "flood"),
    _flood("dry", _DRY, STREAMS, "dry", "dry", size=PIECE),
    _flood("frames", _FRAMES, FLOODS, "frames", "frames", unit=BATCH / MIB),
    _echo("echo-1", "echo of 64 bytes, 1 connection", STREAMS, "echo", "echo"),
    _echo("echo-50", "echo of 64 bytes, 50 connections", STREAMS, "echo", "echo", connections=50),
    _datagrams(
        *("datagrams-paced", "64-byte datagrams, 1000/s", RECEIVERS),
        load="datagrams-paced",
        rate=1000,
    ),
    _datagrams(
        *("datagrams-burst", _BURST, RECEIVERS),
        load="datagrams-burst",
        figure=Figure("datagrams per second", "1/s", True),
        unit=DATAGRAMS,
        size=DATAGRAM_SIZE,
    ),
    _echo("datagrams-echo-1", "echo of 64-byte datagrams, 1 peer", *_ECHO),
    _echo("datagrams-echo-50", "echo of 64-byte datagrams, 50 peers", *_ECHO, connections=50),
    _echo("datagrams-dns-50", "DNS queries, 50 peers", *_DNS, connections=50),
)
#: After these a receive waits on each connection, and the memory of the process is measured.
IDLE: Final = (
    _idle("idle", "never received on", (*TRIO, *LOOPS, RAW), "idle", "idle"),
    *(
        _idle(f"burst-{key}", f"idle after 2 MiB, by {how}", TRIO, f"burst-{key}", "burst")
        for key, how in (
            ("default", "receive_some() with its last chunk held"),
            ("64k", "receive_some(65536) with its last chunk held"),
            ("drop", "receive_some() with its last chunk dropped"),
        )
    ),
)
