"""What is measured: the works, and which figure of each counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from .programs import BURST, LENGTH, MESSAGE, ROUND
from .subjects import STOCK

if TYPE_CHECKING:
    from .processes import Sample

MIB: Final = 1 << 20

#: A batch of frames, each with its length before it, and an empty one: see ``load.c``.
FRAMES: Final = 8 * (16, 32, 64, 128, 256, 512, 1024)
BATCH: Final = sum(FRAMES) * 1024 + (len(FRAMES) + 1) * LENGTH


@dataclass(frozen=True)
class Figure:
    """A number that a sample gives.

    Attributes:
      title: what it is, for people.
      unit: the unit.
      more_is_better: whether a larger one is better.
    """

    title: str
    unit: str
    more_is_better: bool


PROCESSOR_PER_MESSAGE = Figure("processor time per message", "µs", False)
THROUGHPUT = Figure("throughput", "MiB/s", True)
PROCESSOR_PER_MIB = Figure("processor time per MiB", "µs", False)
REQUESTS = Figure("requests per second", "1/s", True)
MEMORY = Figure("resident memory per connection", "KiB", False)
DATAGRAMS = Figure("datagrams per second", "1/s", True)
PROCESSOR_PER_DATAGRAM = Figure("processor time per datagram", "µs", False)
PROCESSOR_PER_REQUEST = Figure("processor time per request", "µs", False)


@dataclass(frozen=True)
class Work:
    """One thing that all subjects do, each in its own way.

    Attributes:
      key: its name in the results.
      title: what it is, for people.
      name: what the subjects call it.
      load: what the generator calls it.
      unit: how many units are done each time that the generator counts one.
      figure: what is compared.
      processor: the processor time per unit, which is less at the mercy of other programs.
      connections: how many there are.
      rate: messages per second, all connections together; 0 if as fast as can be.
      size: of a message, in bytes.
      start: how many times to do it at first, to see how long it takes.
      base: the subject whose figures those of the others are divided by.
    """

    key: str
    title: str
    name: str
    load: str
    unit: float
    figure: Figure
    processor: Figure
    connections: int = 1
    rate: int = 0
    size: int = MESSAGE
    start: int = 1
    base: str = STOCK

    def with_connections(self, connections: int) -> Work:
        """Return the same work on another number of connections."""
        return replace(self, connections=connections)

    def value(self, sample: Sample) -> float:
        """Return the figure that is compared."""
        if self.figure.more_is_better:
            return sample.units / sample.seconds
        return self.processor_value(sample)

    def processor_value(self, sample: Sample) -> float:
        """Return the processor time per unit, in microseconds."""
        return 1e6 * sample.processor / sample.units


def paced(key: str, title: str, connections: int, rate: int, size: int = MESSAGE) -> Work:
    """Return the work of receiving messages one at a time.

    Args:
      key: its name in the results.
      title: what it is, for people.
      connections: how many there are.
      rate: messages per second, all connections together.
      size: of a message, in bytes.
    """
    return Work(
        key=key,
        title=title,
        name="paced",
        load="paced",
        unit=1,
        figure=PROCESSOR_PER_MESSAGE,
        processor=PROCESSOR_PER_MESSAGE,
        connections=connections,
        rate=rate,
        size=size,
    )


def _stream(key: str, title: str, load: str, size: int) -> Work:
    return Work(key, title, key, load, size / MIB, THROUGHPUT, PROCESSOR_PER_MIB)


def _echo(connections: int) -> Work:
    return Work(
        key=f"echo-{connections}",
        title=f"echo of 64 bytes, {connections} connection{'s' if connections > 1 else ''}",
        name="echo",
        load="echo",
        unit=1,
        figure=REQUESTS,
        processor=PROCESSOR_PER_REQUEST,
        connections=connections,
        start=300,
    )


def _burst(key: str, how: str) -> Work:
    return Work(key, f"idle after 2 MiB, {how}", key, "burst", 1, MEMORY, MEMORY, size=BURST)


IDLE: Final = Work("idle", "never received on", "idle", "idle", 1, MEMORY, MEMORY)

BURSTS: Final = (
    _burst("burst-default", "by receive_some() with its last chunk held"),
    _burst("burst-64k", "by receive_some(65536) with its last chunk held"),
    _burst("burst-drop", "by receive_some() with its last chunk dropped"),
)

WORKS: Final = (
    paced("paced-1", "64-byte messages, 1 × 1000/s", 1, 1000),
    paced("paced-20", "64-byte messages, 20 × 50/s", 20, 1000),
    _stream("bulk", "a flood into one buffer of 256 KiB", "bulk", ROUND),
    _stream("chunks", "a flood in chunks of default size", "bulk", ROUND),
    _stream("frames", "frames of 16 KiB to 1 MiB behind a 4-byte length", "frames", BATCH),
    _echo(1),
    _echo(50),
)
