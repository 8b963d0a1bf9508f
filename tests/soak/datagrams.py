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

from .account import CANCELLED, Account, Conversation, held
from .peers import BURSTS, HEADER, LARGEST, SMALLEST, datagram

SOCKETS = 20
#: How many datagrams a conversation may have.
LENGTHS = {"flood": 2000, "oversized": 50, "spoof": 2000, "echo": 2000}
#: Seconds that a receive may last on average, before it is cancelled.
PATIENCE = 0.001
#: Seconds within which a datagram has to arrive.
STUCK = 30.0


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


class Datagrams(Conversation):
    """What one peer sends to one socket, until so many datagrams are received or it is closed."""

    def __init__(self, account: Account, rng: random.Random, most: int, port: int) -> None:
        kind = rng.choice(list(LENGTHS))
        super().__init__(account, rng, kind, min(rng.randint(1, LENGTHS[kind]), most))
        self.sock = trio_wsarecv.from_stdlib_socket(bound())
        self.name = f"{rng.getrandbits(64):x}"
        self.port = port
        self.addresses: dict[int, Any] = {}  # of the senders, if a receive has told
        self.next: Counter[int] = Counter()  # the numbers that are due

    async def close(self) -> None:
        self.sock.close()

    async def tell(self, what: str, number: int) -> None:
        """Send a line to the peer."""
        await self.sock.sendto(f"{what} {number} {self.name}".encode(), ("127.0.0.1", self.port))

    def enter(self, one: Received) -> None:
        """Enter a datagram, or the beginning of one that did not fit."""
        sender, number = HEADER.unpack_from(one.data)
        if number != self.next[sender]:
            raise ValueError(f"{number} of sender {sender} where {self.next[sender]} was due")
        if one.data != datagram(sender, number, len(one.data)):
            raise ValueError(f"{number} of sender {sender} is not as it was sent")
        if one.address and self.addresses.setdefault(sender, one.address) != one.address:
            raise ValueError(f"sender {sender} has two addresses")
        self.next[sender] += 1
        self.received += 1
        self.account.counts["truncated"] += one.truncated

    async def receive_all(self) -> None:
        faults = self.account.counts
        await self.tell(self.kind, self.size)
        with trio.move_on_after(STUCK) as stuck:
            while self.received < self.size:
                batch: list[Received] = []
                seconds = self.rng.choice((0, self.rng.expovariate(1 / PATIENCE), STUCK))
                with trio.move_on_after(seconds) as self.scope:
                    batch = await receive(self.sock, self.rng, whole=self.kind == "echo")
                    faults["receives that got datagrams although cancelled"] += (
                        self.scope.cancel_called
                    )
                faults[CANCELLED] += self.scope.cancelled_caught
                if not batch:
                    continue
                for each in batch:
                    self.enter(each)
                stuck.deadline = trio.current_time() + STUCK
                if self.kind == "echo":
                    faults["cancelled sends"] += await send_back(self.sock, self.rng, batch)
                elif self.received % BURSTS[self.kind] == 0 or self.received == self.size:
                    await self.tell("ack", self.received)


async def soak(account: Account, port: int, wanted: int, rng: random.Random) -> None:
    async def converse(rng: random.Random) -> None:
        nonlocal wanted
        while wanted:
            conversation = Datagrams(account, rng, wanted, port)
            wanted -= conversation.size
            with conversation.sock:
                await conversation.run(0.02)
            if conversation.is_closed:
                wanted += conversation.size - conversation.received

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
    return account.report((*LENGTHS, "truncated", "cancelled sends"))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
