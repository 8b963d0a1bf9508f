"""Datagrams: the works, and who is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .subjects import LOOPS, OURS, RAW, STOCK, Subject, program
from .works import DATAGRAMS, PROCESSOR_PER_DATAGRAM, PROCESSOR_PER_REQUEST, REQUESTS, Work

if TYPE_CHECKING:
    from .build import Binaries
    from .machine import Machine

BURST: Final = 64  # datagrams at a time: see ``datagrams.c``
BURST_SIZE: Final = 1200  # bytes, as of a QUIC packet
RATE: Final = 1000
BASE: Final = f"{STOCK} recvfrom"
BARE: Final = f"{STOCK} wait_overlapped"
SEVERAL: Final = 32  # receives in the kernel at the same time
CALLS: Final = ("recvfrom", "recvfrom_into", "recvfrom_many", "recvmsg")


def _echo(peers: int) -> Work:
    return Work(
        key=f"datagrams-echo-{peers}",
        title=f"echo of 64-byte datagrams, {peers} peer{'s' if peers > 1 else ''}",
        name="datagrams-echo",
        load="echo",
        unit=1,
        figure=REQUESTS,
        processor=PROCESSOR_PER_REQUEST,
        connections=peers,
        start=300,
        base=BASE,
    )


WORKS: Final = (
    Work(
        key="datagrams-paced",
        title=f"64-byte datagrams, {RATE}/s",
        name="datagrams",
        load="paced",
        unit=1,
        figure=PROCESSOR_PER_DATAGRAM,
        processor=PROCESSOR_PER_DATAGRAM,
        rate=RATE,
        base=BASE,
    ),
    Work(
        key="datagrams-burst",
        title=f"{BURST} datagrams of {BURST_SIZE:,} bytes at a time",
        name="datagrams",
        load="burst",
        unit=BURST,
        figure=DATAGRAMS,
        processor=PROCESSOR_PER_DATAGRAM,
        size=BURST_SIZE,
        base=BASE,
    ),
    _echo(1),
    _echo(50),
)


def subjects(machine: Machine, binaries: Binaries) -> list[Subject]:
    """Return all that receive datagrams on this machine."""

    def subject(name: str, *command: str) -> Subject:
        return Subject(name, command, machine.environ, machine.folder)

    return [
        subject(BASE, *program(machine, "datagrams", STOCK, "recvfrom")),
        *(subject(f"{OURS} {call}", *program(machine, "datagrams", OURS, call)) for call in CALLS),
        *(
            subject(f"{loop} DatagramProtocol", *program(machine, "datagrams_asyncio", loop))
            for loop in LOOPS
        ),
        subject(BARE, *program(machine, "datagrams_bare", "1")),
        subject(f"{BARE}, {SEVERAL} receives", *program(machine, "datagrams_bare", str(SEVERAL))),
        subject(f"{RAW} WSARecvFrom", *machine.launcher, str(binaries.raw_datagrams)),
    ]
