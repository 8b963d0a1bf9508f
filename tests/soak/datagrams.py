"""Datagrams under test: ``python -m tests.soak.datagrams PORT DATAGRAMS SEED``.

Many sockets receive at a time, by every call there is, with more room or less.  Receives are
cancelled at random, and some sockets closed.  Each sender numbers its datagrams: they have to come
in order, each once, as they were sent.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from typing import Any

import trio

import trio_wsarecv
from tests.datagrams import METHODS, WITH_ADDRESS, WITHOUT_FLAGS, Received, bound
from trio_wsarecv import WinsockError

from .account import CLOSED, Account, held
from .peers import BURSTS, HEADER, LARGEST, SMALLEST, datagram

SOCKETS = 20
#: How many datagrams a conversation may have.
LENGTHS = {"flood": 2000, "oversized": 50, "spoof": 2000, "echo": 2000}
#: Seconds that a receive may last on average, before it is cancelled.
PATIENCE = 0.001
#: Seconds within which a datagram has to arrive.
STUCK = 30.0
WANTED = (*LENGTHS, "truncated", "closed by another task", "cancelled receives", "cancelled sends")


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
        one: Received = await method(sock, room)
    except OSError as exc:
        if getattr(exc, "winerror", None) != WinsockError.WSAEMSGSIZE:
            raise
        assert method in WITHOUT_FLAGS
        return [Received(exc.partial, None, True)]  # type: ignore[attr-defined]
    return [one if method in WITH_ADDRESS else one._replace(address=None)]


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


class Conversation:
    """What one peer sends to one socket.

    Attributes:
      received: the number of datagrams.
      addresses: where each sender's datagrams come from, if a receive has told.
    """

    def __init__(self, account: Account, rng: random.Random, most: int) -> None:
        self.account = account
        self.rng = rng
        self.kind = rng.choice(list(LENGTHS))
        self.count = min(rng.randint(1, LENGTHS[self.kind]), most)
        self.name = f"{rng.getrandbits(64):x}"
        self.is_closed = False
        self.received = 0
        self.addresses: dict[int, Any] = {}
        self._next: Counter[int] = Counter()
        account.faults[self.kind] += 1

    def __str__(self) -> str:
        return f"{self.kind}, {self.received} of {self.count} datagrams received"

    def enter(self, one: Received) -> None:
        """Enter a datagram, or the beginning of one that did not fit.

        Raises:
          ValueError: it is not the next one of its sender, or not as it was sent.
        """
        sender, number = HEADER.unpack_from(one.data)
        if number != self._next[sender]:
            raise ValueError(f"{number} of sender {sender} where {self._next[sender]} was due")
        if one.data != datagram(sender, number, len(one.data)):
            raise ValueError(f"{number} of sender {sender} is not as it was sent")
        if one.address and self.addresses.setdefault(sender, one.address) != one.address:
            raise ValueError(f"sender {sender} has two addresses")
        self._next[sender] += 1
        self.received += 1
        self.account.faults["truncated"] += one.truncated

    async def run(self, port: int) -> int:
        """Ask the peer for the datagrams, and receive them; return how many are still wanted."""
        failures = self.account.failures
        with trio_wsarecv.from_stdlib_socket(bound()) as sock:
            await sock.sendto(f"{self.kind} {self.count} {self.name}".encode(), ("127.0.0.1", port))
            async with trio.open_nursery() as nursery:
                if self.rng.random() < CLOSED:
                    nursery.start_soon(self.close_soon, sock)
                try:
                    await self.receive_all(sock, port)
                except (trio.ClosedResourceError, OSError) as exc:
                    if not self.is_closed:
                        failures.append(f"{self}: {exc!r}")
                except ValueError as exc:
                    failures.append(f"{self}: {exc}")
                nursery.cancel_scope.cancel()
        rest = self.count - self.received
        self.account.checked += self.received
        if rest and not self.is_closed:
            self.account.lost += rest
            failures.append(f"{self}: {rest} are missing")
            return 0
        return rest

    async def close_soon(self, sock: trio_wsarecv.Socket) -> None:
        await trio.sleep(self.rng.expovariate(50))
        self.is_closed = True
        self.account.faults["closed by another task"] += 1
        sock.close()

    async def receive_all(self, sock: trio_wsarecv.Socket, port: int) -> None:
        faults = self.account.faults
        with trio.move_on_after(STUCK) as stuck:
            while self.received < self.count:
                batch: list[Received] = []
                seconds = self.rng.choice((0, self.rng.expovariate(1 / PATIENCE), STUCK))
                with trio.move_on_after(seconds) as scope:
                    batch = await receive(sock, self.rng, whole=self.kind == "echo")
                faults["cancelled receives"] += scope.cancelled_caught
                if not batch:
                    continue
                faults["receives that got datagrams although cancelled"] += scope.cancel_called
                for each in batch:
                    self.enter(each)
                stuck.deadline = trio.current_time() + STUCK
                if self.kind == "echo":
                    faults["cancelled sends"] += await send_back(sock, self.rng, batch)
                elif self.received % BURSTS[self.kind] == 0 or self.received == self.count:
                    line = f"ack {self.received} {self.name}"
                    await sock.sendto(line.encode(), ("127.0.0.1", port))


async def soak(account: Account, port: int, datagrams: int, rng: random.Random) -> None:
    wanted = datagrams

    async def converse(rng: random.Random) -> None:
        nonlocal wanted
        while wanted:
            conversation = Conversation(account, rng, wanted)
            wanted -= conversation.count
            rest = await conversation.run(port)
            wanted += rest

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
    rng, account = random.Random(seed), Account("datagrams")
    trio.run(soak, account, port, datagrams // 10, rng)  # to warm up
    account.before = held()
    trio.run(soak, account, port, datagrams, rng)
    return account.report(WANTED)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
