"""Datagrams under test: ``python -m tests.soak.datagrams PORT DATAGRAMS SEED``.

Many sockets receive at a time, by every call there is, with more room or less.  Receives are
cancelled at random, and some sockets closed.  Each sender numbers its datagrams: they have to come
in order, each once, as they were sent.
"""

from __future__ import annotations

import random
import socket
import sys
from contextlib import suppress
from typing import Any, NamedTuple

import trio

import trio_wsarecv
from tests.datagrams import METHODS, WITH_ADDRESS, WITHOUT_FLAGS
from trio_wsarecv import WinsockError

from .account import Account, held, report
from .payload import LARGEST, SMALLEST, DatagramLedger
from .peers import BURSTS

SOCKETS = 20
#: How many datagrams a conversation may have.
LENGTHS = {"flood": 2000, "oversized": 50, "spoof": 2000, "vanish": 50, "echo": 2000}
#: The share of conversations whose socket another task closes.
CLOSED = 0.1
#: Seconds that a receive may last on average, before it is cancelled.
PATIENCE = 0.001
#: Seconds within which a datagram has to arrive.
STUCK = 30.0
#: Seconds that an ICMP message may take; not every system wakes a receive for it.
ICMP = 0.05


WANTED = ("truncated", "closed by another task", "cancelled receives", "cancelled sends")


class Received(NamedTuple):
    data: bytes
    address: Any
    truncated: bool


async def receive(
    sock: trio_wsarecv.Socket, rng: random.Random, *, whole: bool = False
) -> list[Received]:
    """Receive by a random call with random room; or `whole` datagrams, with their senders."""
    room = rng.choice((1500, LARGEST) if whole else (SMALLEST, 300, 1500, LARGEST))
    if rng.random() < 0.5:
        batch = await sock.recvfrom_many(rng.choice((2, 7, 64)), room)
        return [Received(*each, each.truncated) for each in batch]
    method = rng.choice(WITH_ADDRESS if whole else METHODS)
    try:
        one = await method(sock, room)
    except OSError as exc:
        if getattr(exc, "winerror", None) != WinsockError.WSAEMSGSIZE:
            raise
        assert method in WITHOUT_FLAGS
        return [Received(exc.partial, None, True)]  # type: ignore[attr-defined]
    return [Received(one.data, one.address if method in WITH_ADDRESS else None, one.truncated)]


async def send_back(sock: trio_wsarecv.Socket, rng: random.Random, batch: list[Received]) -> int:
    """Send datagrams back by a random call; return how often that was cancelled."""
    datagrams = [(each.data, each.address) for each in batch]
    cancelled = 0
    while datagrams:
        sent = 0
        with trio.CancelScope() as scope:
            if rng.random() < 0.2:
                scope.cancel()
            try:
                if rng.random() < 0.8:
                    sent = await sock.sendto_many(iter(datagrams))
                else:
                    data, address = datagrams[0]
                    await sock.sendmsg([data[:3], bytearray(data[3:])], (), 0, address)
                    sent = 1
            except trio.Cancelled as exc:
                sent = getattr(exc, "sent", 0)
                cancelled += 1
                raise
        del datagrams[:sent]
    return cancelled


class Conversations(Account):
    """Results of all conversations.

    Attributes:
      wanted: how many datagrams have not been asked for yet.
    """

    def __init__(self, wanted: int) -> None:
        super().__init__()
        self.wanted = wanted


class Conversation:
    """What one peer sends to one socket."""

    def __init__(self, account: Conversations, rng: random.Random) -> None:
        self.account = account
        self.rng = rng
        self.kind = rng.choice(list(LENGTHS))
        self.count = min(rng.randint(1, LENGTHS[self.kind]), account.wanted)
        self.name = f"{rng.getrandbits(64):x}"
        self.ledger = DatagramLedger()
        self.is_closed = False
        account.wanted -= self.count
        account.faults[self.kind] += 1

    def __str__(self) -> str:
        return f"{self.kind}, {self.ledger.received} of {self.count} datagrams received"

    async def run(self, port: int) -> None:
        """Ask the peer for the datagrams, and receive them."""
        stdlib = socket.socket(type=socket.SOCK_DGRAM)
        stdlib.bind(("127.0.0.1", 0))
        with trio_wsarecv.from_stdlib_socket(stdlib) as sock:
            await sock.sendto(f"{self.kind} {self.count} {self.name}".encode(), ("127.0.0.1", port))
            async with trio.open_nursery() as nursery:
                if self.rng.random() < CLOSED:
                    nursery.start_soon(self.close_soon, sock)
                try:
                    await self.receive_all(sock, port)
                    if self.kind == "vanish":
                        await self.meet_nobody(sock)
                except (trio.ClosedResourceError, OSError) as exc:
                    if not self.is_closed:
                        self.account.failures.append(f"{self}: {exc!r}")
                except ValueError as exc:
                    self.account.failures.append(f"{self}: {exc}")
                nursery.cancel_scope.cancel()
        rest = self.count - self.ledger.received
        self.account.checked += self.ledger.received
        if self.is_closed:
            self.account.wanted += rest
        elif rest:
            self.account.lost += rest
            self.account.failures.append(f"{self}: {rest} are missing")

    async def close_soon(self, sock: trio_wsarecv.Socket) -> None:
        await trio.sleep(self.rng.expovariate(50))
        self.is_closed = True
        self.account.faults["closed by another task"] += 1
        sock.close()

    async def receive_all(self, sock: trio_wsarecv.Socket, port: int) -> None:
        ledger, faults = self.ledger, self.account.faults
        with trio.move_on_after(STUCK) as stuck:
            while ledger.received < self.count:
                batch: list[Received] = []
                seconds = self.rng.choice((0, self.rng.expovariate(1 / PATIENCE), STUCK))
                with trio.move_on_after(seconds) as scope:
                    batch = await receive(sock, self.rng, whole=self.kind == "echo")
                faults["cancelled receives"] += scope.cancelled_caught
                faults["receives that got datagrams although cancelled"] += bool(
                    scope.cancel_called and batch
                )
                for each in batch:
                    ledger.enter(each.data, each.address)
                    faults["truncated"] += each.truncated
                if self.kind == "echo":
                    faults["cancelled sends"] += await send_back(sock, self.rng, batch)
                whole = ledger.received % BURSTS[self.kind] == 0 or ledger.received == self.count
                if batch and whole and self.kind != "echo":
                    line = f"ack {ledger.received} {self.name}"
                    await sock.sendto(line.encode(), ("127.0.0.1", port))
                if batch:
                    stuck.deadline = trio.current_time() + STUCK

    async def meet_nobody(self, sock: trio_wsarecv.Socket) -> None:
        address = self.ledger.addresses.get(0)
        if address is None:
            return
        await sock.connect(address)
        with suppress(ConnectionResetError, ConnectionRefusedError):
            for _ in range(2):
                await sock.send(b"anybody there?")
                with trio.move_on_after(ICMP):
                    await sock.recv(100)
            return
        self.account.faults["ICMP messages"] += 1


async def soak(account: Conversations, port: int, rng: random.Random) -> None:
    async def converse(rng: random.Random) -> None:
        while account.wanted:
            await Conversation(account, rng).run(port)

    async def watch() -> None:
        while True:
            print(f"{account.checked:,} datagrams received", flush=True)
            await trio.sleep(10)

    async with trio.open_nursery() as watching:
        watching.start_soon(watch)
        async with trio.open_nursery() as nursery:
            for _ in range(SOCKETS):
                nursery.start_soon(converse, random.Random(rng.random()))
        watching.cancel_scope.cancel()


def main(port: int, datagrams: int, seed: int) -> int:
    rng = random.Random(seed)
    trio.run(soak, Conversations(datagrams // 10), port, rng)  # to warm up
    before = held()
    account = Conversations(datagrams)
    trio.run(soak, account, port, rng)
    return report(account, before, "datagrams", (*LENGTHS, *WANTED))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
