"""Streams under test: ``python -m tests.soak.streams PORT SECONDS CONNECTIONS SEED``.

Many connections at a time; on each, every byte is checked.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import trio

import trio_wsarecv
from trio_wsarecv import IncompleteReceiveError, MsgFlag, SocketStream, wsarecv

from .account import CLOSED, Account, held, raise_file_limit
from .peers import LENGTH, ROW

#: Seconds that the last bytes may take.
LAST_BYTES = 40.0
#: Seconds that cancelling the rest may take after that.
STUCK = 10.0
#: The share of the connections asked for that must have been open at once.
LOAD = 0.9
#: The share of the time for warming up, before the resources are measured.
WARMING_UP = 0.25


class Kind(NamedTuple):
    """How a peer behaves.

    Attributes:
      weight: how often, compared with the others.
      smallest: size of the payload, at the least.
      largest: and at the most.
      patience: how many seconds a receive may last on average, before it is cancelled.
    """

    weight: float
    smallest: int
    largest: int
    patience: float


KINDS = {
    "drip": Kind(3, 5, 30, 0.5),
    "flood": Kind(2, 1, 500_000, 0.05),
    "urgent": Kind(1, 2, 50_000, 0.5),
    "reset": Kind(1, 1, 50_000, 0.5),
    "vanish": Kind(1, 1, 20_000, 0.5),
}
WANTED = (*KINDS, "closed by another task", "cancelled receives")

AT_ONCE = "connections at once, at the most"

WAYS = ("receive_some", "recv", "receive_into", "exactly", "exactly_into", "scattered")
SIZES = (1, 2, 100, 1500, 10_000, 65_536)
CANARY = b"\xa5" * 64


class Fault(Exception):
    """Bytes are wrong, or a buffer was written to in the wrong place, or is exported too long."""


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
            raise Fault("something wrote behind the bytes asked for")
        try:
            for each in (buffer, *parts):
                each.append(0)
        except BufferError:
            raise Fault("a buffer is still exported") from None


class Connection:
    """One connection."""

    def __init__(self, account: Account, seed: int) -> None:
        self.account = account
        self.rng = rng = random.Random(seed)
        (self.name,) = rng.choices(list(KINDS), [kind.weight for kind in KINDS.values()])
        self.kind = KINDS[self.name]
        self.size = rng.randint(self.kind.smallest, self.kind.largest)
        self.offset = rng.randrange(LENGTH)
        self.position = 0
        self.is_closed = False
        self.acknowledged = False
        self.doing = "nothing yet"
        self.scope = trio.CancelScope()
        self.stream: SocketStream

    async def run(self, port: int) -> None:
        """Open it and receive until it ends."""
        account = self.account
        self.stream = await trio_wsarecv.open_tcp_stream("127.0.0.1", port)
        account.faults[self.name] += 1
        account.active.add(self)
        try:
            line = f"{self.name} {self.offset} {self.size}\n"
            await self.stream.send_all(line.encode())
            async with trio.open_nursery() as nursery:
                if self.rng.random() < CLOSED:
                    nursery.start_soon(self.close_soon)
                await self.receive_all(nursery)
                nursery.cancel_scope.cancel()
        finally:
            account.active.remove(self)
            account.checked += self.position
            if not self.is_closed and self.position < self.size:
                account.lost += self.size - self.position
                account.failures.append(f"{self}: bytes are missing")
            self.stream.socket.close()

    def __str__(self) -> str:
        return (
            f"{self.name}, {self.position} of {self.size} bytes received, "
            f"last seen in {self.doing}" + (", closed by another task" if self.is_closed else "")
        )

    def enter(self, data: bytes) -> None:
        """Account for bytes that have been received."""
        end = min(self.position + len(data), self.size)
        if data != ROW[self.offset + self.position : self.offset + end]:
            raise Fault("wrong bytes, or more than the peer has sent")
        self.position = end

    async def close_soon(self) -> None:
        await trio.sleep(self.rng.expovariate(1 / self.kind.patience))
        self.is_closed = True
        self.account.faults["closed by another task"] += 1
        if self.rng.random() < 0.5:
            self.stream.socket.close()
        else:
            await self.stream.aclose()

    async def receive_all(self, nursery: trio.Nursery) -> None:
        try:
            while await self.receive_once():
                if self.position < self.size or self.acknowledged:
                    continue
                if self.name == "reset":
                    self.acknowledged = True
                    await self.stream.send_all(b"a")
                elif self.name == "vanish":
                    self.acknowledged = True
                    nursery.start_soon(self.close_soon)
        except (OSError, trio.BrokenResourceError) as exc:
            # Calls on a closed socket raise OSError.
            cause = exc if isinstance(exc, OSError) else exc.__cause__
            is_reset = isinstance(cause, (ConnectionResetError, ConnectionAbortedError))
            if not self.is_closed and not (self.acknowledged and is_reset):
                self.account.failures.append(f"{self}: {exc!r}")
        except trio.ClosedResourceError:
            if not self.is_closed:
                self.account.failures.append(f"{self}: closed by nobody")
        except Fault as exc:
            self.account.failures.append(f"{self}: {exc}")

    async def receive_once(self) -> bool:
        """Receive by a random call with a random timeout; return whether more may come."""
        self.doing = self.rng.choice(WAYS)
        data = None
        seconds = self.rng.expovariate(1 / self.kind.patience) if self.rng.random() < 0.8 else 0
        with trio.move_on_after(seconds) as self.scope:
            data = await receive(self.doing, self.stream, self.rng)
        self.account.faults["cancelled receives"] += self.scope.cancelled_caught
        # Data sent just before a reset may or may not arrive.
        if data and not (self.acknowledged and self.name == "reset"):
            self.account.faults["receives that got bytes although cancelled"] += (
                self.scope.cancel_called
            )
            self.enter(data)
        return data is None or bool(data)


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


async def keep_open(account: Account, port: int, seed: Callable[[], int], until: float) -> None:
    """Run one connection after the other until then."""
    while trio.current_time() < until:
        connection = Connection(account, seed())
        try:
            await connection.run(port)
        except OSError as exc:
            account.failures.append(f"cannot connect: {exc!r}")
            await trio.sleep(1)


async def watch(account: Account, wanted: int, until: float) -> None:
    """Record the load every second, and end the process if it is stuck."""
    for second in itertools.count():
        account.faults[AT_ONCE] = max(account.faults[AT_ONCE], len(account.active))
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
    account: Account, port: int, seconds: float, connections: int, seed: Callable[[], int]
) -> None:
    """Keep so many connections open for so long, and then receive what is left."""
    async with trio.open_nursery() as watching:
        until = trio.current_time() + seconds
        watching.start_soon(watch, account, connections, until)
        watching.start_soon(cancel_late, account, random.Random(seed()))
        with trio.CancelScope(deadline=until + LAST_BYTES) as scope:
            async with trio.open_nursery() as nursery:
                for _ in range(connections):
                    nursery.start_soon(keep_open, account, port, seed, until)
        if scope.cancelled_caught:
            account.failures.append(f"connections were still open after {LAST_BYTES} s")
        watching.cancel_scope.cancel()


def main(port: int, seconds: float, connections: int, first: int) -> int:
    raise_file_limit()
    seed, account = itertools.count(first).__next__, Account("bytes")
    warming_up = seconds * WARMING_UP
    trio.run(soak, account, port, warming_up, connections, seed)
    account.before = held()
    trio.run(soak, account, port, seconds - warming_up, connections, seed)
    if account.faults[AT_ONCE] < LOAD * connections:
        account.failures.append(f"there were not {connections} connections at once")
    return account.report(WANTED)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
