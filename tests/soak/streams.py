"""Streams under test: ``python -m tests.soak.streams PORT SECONDS CONNECTIONS SEED``.

Many connections at a time; on each, every byte is checked.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import time

import trio

import trio_wsarecv
from trio_wsarecv import IncompleteReceiveError, MsgFlag, SocketStream, wsarecv

from .account import CANCELLED, Account, Conversation, held, raise_file_limit
from .peers import LENGTH, ROW

LAST_BYTES = 40.0  # seconds that the last bytes may take
STUCK = 10.0  # seconds that cancelling the rest may take after that
LOAD = 0.9  # the share of the connections asked for that must have been open at once
WARMING_UP = 0.25  # the share of the time before the resources are measured

#: How often a peer of this kind is met, the least and the most bytes that it sends, and how many
#: seconds a receive may last on average, before it is cancelled.
KINDS = {
    "drip": (3, 5, 30, 0.5),
    "flood": (2, 1, 500_000, 0.05),
    "urgent": (1, 2, 50_000, 0.5),
    "reset": (1, 1, 50_000, 0.5),
    "vanish": (1, 1, 20_000, 0.5),
}
AT_ONCE = "connections at once, at the most"

WAYS = ("receive_some", "recv", "receive_into", "exactly", "exactly_into", "scattered")
SIZES = (1, 2, 100, 1500, 10_000, 65_536)
CANARY = b"\xa5" * 64


async def receive(how: str, stream: SocketStream, rng: random.Random) -> bytes:
    """Receive by this call; check that nothing is written behind a buffer or stays exported."""
    size = rng.choice(SIZES)
    buffer = bytearray(size) + CANARY
    parts = [bytearray(rng.choice((0, 1, 3, 1000))) for _ in range(rng.randrange(1, 5))]
    parts.append(bytearray(size))
    try:
        match how:
            case "receive_some":
                return await stream.receive_some(rng.choice((None, size)))
            case "recv":
                return await stream.socket.recv(size)
            case "receive_into":
                return bytes(buffer[: await stream.receive_into(buffer, size)])
            case "exactly":
                return await stream.receive_exactly(size)
            case "exactly_into":
                with memoryview(buffer)[:size] as view:
                    await stream.receive_exactly_into(view)
                return bytes(buffer[:size])
        flags = rng.choice((MsgFlag(0), MsgFlag.MSG_WAITALL))
        received, _ = await wsarecv(stream.socket, parts, flags)
        return b"".join(parts)[:received]
    except IncompleteReceiveError as exc:
        return exc.partial
    finally:
        if not buffer.endswith(CANARY):
            raise ValueError("something wrote behind the bytes asked for")
        try:
            for each in (buffer, *parts):
                each.append(0)
        except BufferError:
            raise ValueError("a buffer is still exported") from None


class Connection(Conversation):
    """One connection."""

    stream: SocketStream

    def __init__(self, account: Account, rng: random.Random) -> None:
        (kind,) = rng.choices(list(KINDS), [weight for weight, *_ in KINDS.values()])
        _, smallest, largest, self.patience = KINDS[kind]
        super().__init__(account, rng, kind, rng.randint(smallest, largest))
        self.acknowledged = False

    async def open(self, port: int) -> None:
        """Connect, and receive until it ends."""
        self.stream = await trio_wsarecv.open_tcp_stream("127.0.0.1", port)
        with self.stream.socket:
            await self.run(self.patience)

    async def close(self) -> None:
        if self.rng.random() < 0.5:
            self.stream.socket.close()
        else:
            await self.stream.aclose()

    def may_fail(self, error: Exception) -> bool:
        cause = error if isinstance(error, OSError) else error.__cause__
        return self.acknowledged and isinstance(
            cause, ConnectionResetError | ConnectionAbortedError
        )

    async def receive_all(self) -> None:
        offset = self.rng.randrange(LENGTH)
        await self.stream.send_all(f"{self.kind} {offset} {self.size}\n".encode())
        expected = ROW[offset : offset + self.size]
        while (data := await self.receive_once()) != b"":
            # Data sent just before a reset may or may not arrive.
            if data and not (self.acknowledged and self.kind == "reset"):
                end = min(self.received + len(data), self.size)
                if data != expected[self.received : end]:
                    raise ValueError("wrong bytes, or more than the peer has sent")
                self.received = end
            if self.received == self.size and not self.acknowledged:
                self.acknowledged = self.kind in ("reset", "vanish")
                if self.kind == "reset":
                    await self.stream.send_all(b"a")
                elif self.kind == "vanish":
                    self.nursery.start_soon(self.close_in, self.patience)

    async def receive_once(self) -> bytes | None:
        """Receive by a random call; return None if a random timeout cancelled it."""
        faults = self.account.counts
        self.doing = self.rng.choice(WAYS)
        seconds = self.rng.expovariate(1 / self.patience) if self.rng.random() < 0.8 else 0
        with trio.move_on_after(seconds) as self.scope:
            data = await receive(self.doing, self.stream, self.rng)
            if data:
                faults["receives that got bytes although cancelled"] += self.scope.cancel_called
            return data
        faults[CANCELLED] += 1
        return None


async def cancel_late(account: Account, rng: random.Random) -> None:
    """Block the thread now and then, and cancel receives that may have completed meanwhile.

    Trio does not know yet what has arrived from the network in that time.
    """
    while True:
        await trio.sleep(rng.uniform(0, 0.1))
        time.sleep(rng.uniform(0, 0.01))  # noqa: ASYNC251
        for connection in account.active:
            if rng.random() < 0.1:
                connection.scope.cancel()


async def keep_open(account: Account, port: int, rng: random.Random, until: float) -> None:
    """Run one connection after the other until then."""
    while trio.current_time() < until:
        connection = Connection(account, random.Random(rng.random()))
        try:
            await connection.open(port)
        except OSError as exc:
            account.failures.append(f"cannot connect: {exc!r}")
            await trio.sleep(1)


async def watch(account: Account, wanted: int, until: float) -> None:
    """Record the load every second, and end the process if it is stuck."""
    for second in itertools.count():
        account.counts[AT_ONCE] = max(account.counts[AT_ONCE], len(account.active))
        if second % 10 == 0:
            load = f"{len(account.active)} of {wanted} connections open"
            print(f"{second:4} s: {load}, {account.checked:,} bytes checked", flush=True)
        if trio.current_time() > until + LAST_BYTES + STUCK:
            # It cannot even be cancelled.
            for connection in account.active:
                print("FAILURE: stuck:", connection, flush=True)
            os._exit(1)
        await trio.sleep(1)


async def soak(
    account: Account, port: int, seconds: float, connections: int, rng: random.Random
) -> None:
    """Keep so many connections open for so long, and then receive what is left."""
    async with trio.open_nursery() as watching:
        until = trio.current_time() + seconds
        watching.start_soon(watch, account, connections, until)
        watching.start_soon(cancel_late, account, random.Random(rng.random()))
        with trio.CancelScope(deadline=until + LAST_BYTES) as scope:
            async with trio.open_nursery() as nursery:
                for _ in range(connections):
                    nursery.start_soon(keep_open, account, port, rng, until)
        if scope.cancelled_caught:
            account.failures.append(f"connections were still open after {LAST_BYTES} s")
        watching.cancel_scope.cancel()


def main(port: int, seconds: float, connections: int, seed: int) -> int:
    raise_file_limit()
    rng, account = random.Random(seed), Account("bytes")
    warming_up = seconds * WARMING_UP
    trio.run(soak, account, port, warming_up, connections, rng)
    account.before = held()
    trio.run(soak, account, port, seconds - warming_up, connections, rng)
    if account.counts[AT_ONCE] < LOAD * connections:
        account.failures.append(f"there were not {connections} connections at once")
    return account.report(KINDS)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
