"""What is measured: the works, and which figure of each is compared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

from .programs import BATCH, BURST, DATAGRAM_SIZE, DATAGRAMS, MESSAGE, PIECE, ROUND
from .table import STOCK, STOCK_DATAGRAMS, Figure

MIB: Final = 1 << 20
RATE: Final = 1000  # messages per second, all connections together

THROUGHPUT: Final = Figure("throughput", "MiB/s", True)
REQUESTS: Final = Figure("requests per second", "1/s", True)
MANY: Final = Figure("datagrams per second", "1/s", True)
MEMORY: Final = Figure("resident memory per connection", "KiB")


def processor_per(what: str) -> Figure:
    return Figure(f"processor time per {what}", "µs")


@dataclass(frozen=True)
class Work:
    """One thing that all subjects do, each in its own way.

    The name is what the subjects call it, the load is what the generator does.
    """

    key: str
    title: str
    name: str
    load: str
    processor: Figure  # the processor time per unit
    figure: Figure | None = None  # what is compared, if not the processor time alone
    unit: float = 1  # how many units each round of the generator has
    connections: int = 1
    rate: int = 0  # messages per second, all connections together; 0 for as many as possible
    size: int = MESSAGE  # of a message, in bytes
    start: int = 1  # how many times to do it at first, to find out how long it takes
    base: str = STOCK  # the subject that the others are compared with

    @property
    def needs_machine(self) -> bool:
        """Whether it gets a machine of its own: Wine's server is slow to forget connections."""
        return self.connections >= 1000


def _flood(key: str, title: str, load: str = "flood", size: int = ROUND) -> Work:
    return Work(key, title, key, load, processor_per("MiB"), THROUGHPUT, size / MIB, size=PIECE)


def _echo(key: str, title: str, connections: int, name: str = "echo", base: str = STOCK) -> Work:
    echo = (key, title, name, name, processor_per("request"), REQUESTS)
    return Work(*echo, connections=connections, start=300, base=base)


def _echo_datagrams(key: str, title: str, peers: int) -> Work:
    return _echo(f"datagrams-{key}-{peers}", title, peers, f"datagrams-{key}", STOCK_DATAGRAMS)


def _datagrams(key: str, title: str, unit: int, rate: int, size: int) -> Work:
    datagrams = (key, title, "datagrams", key, processor_per("datagram"), None if rate else MANY)
    return Work(*datagrams, unit, rate=rate, size=size, base=STOCK_DATAGRAMS)


def _idle(key: str, title: str, load: str = "burst") -> Work:
    return Work(key, title, key, load, MEMORY, size=BURST)


_paced = partial(Work, name="paced", load="paced", processor=processor_per("message"), rate=RATE)

BURST_TITLE: Final = f"{DATAGRAMS} datagrams of {DATAGRAM_SIZE:,} bytes at a time"
WORKS: Final = (
    _paced("paced-1", "64-byte messages, 1 × 1000/s"),
    _paced("paced-20", "64-byte messages, 20 × 50/s", connections=20),
    _paced("paced-1000", "64-byte messages, 1,000 × 1/s", connections=1000),
    _paced("paced-4000", "64-byte messages, 4,000 × 0.25/s", connections=4000),
    _paced("size-1500", "1,500-byte messages, 1 × 1000/s", size=1500),
    _paced("size-16000", "16,000-byte messages, 1 × 1000/s", size=16000),
    _flood("bulk", "a flood into one buffer of 256 KiB"),
    _flood("chunks", "a flood in chunks of default size"),
    _flood("dry", "a flood that runs dry: 64 KiB at a time, as fast as Trio takes them", "dry"),
    _flood("frames", "frames of 16 KiB to 1 MiB behind a 4-byte length", "frames", BATCH),
    _echo("echo-1", "echo of 64 bytes, 1 connection", 1),
    _echo("echo-50", "echo of 64 bytes, 50 connections", 50),
    _datagrams("datagrams-paced", "64-byte datagrams, 1000/s", 1, RATE, MESSAGE),
    _datagrams("datagrams-burst", BURST_TITLE, DATAGRAMS, 0, DATAGRAM_SIZE),
    _echo_datagrams("echo", "echo of 64-byte datagrams, 1 peer", 1),
    _echo_datagrams("echo", "echo of 64-byte datagrams, 50 peers", 50),
    _echo_datagrams("dns", "DNS queries, 50 peers", 50),
)
IDLE: Final = _idle("idle", "never received on", "idle")
BURSTS: Final = (
    _idle("burst-default", "idle after 2 MiB, by receive_some() with its last chunk held"),
    _idle("burst-64k", "idle after 2 MiB, by receive_some(65536) with its last chunk held"),
    _idle("burst-drop", "idle after 2 MiB, by receive_some() with its last chunk dropped"),
)
