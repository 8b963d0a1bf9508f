"""One connection, from its opening until every byte of it is accounted for."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import trio

import trio_wsarecv
from trio_wsarecv import MsgFlag, wsarecv

from .payload import LENGTH, URGENT, Ledger
from .receives import WAYS, BufferFault


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
    "drip": Kind(3, 5, 40, 0.5),
    "flood": Kind(1, 100_000, 900_000, 0.02),
    "half": Kind(1, 0, 50_000, 0.5),
    "urgent": Kind(1, 2, 50_000, 0.5),
    "reset": Kind(1, 1, 50_000, 0.5),
    "vanish": Kind(1, 1, 20_000, 0.5),
}

#: How many connections another task closes while they are received on.
CLOSED = 0.1


class Account:
    """What came of all connections.

    Attributes:
      opened: how many there were.
      active: those that there are, with what is known of them.
      faults: what was done to them, and how often.
      checked: bytes that were received and are what was sent.
      lost: bytes that were sent and never received.
      failures: whatever must not be.
    """

    def __init__(self) -> None:
        self.opened = 0
        self.active: set[Connection] = set()
        self.faults: Counter[str] = Counter()
        self.checked = 0
        self.lost = 0
        self.failures: list[str] = []


class Connection:
    """One connection."""

    def __init__(self, account: Account, seed: int) -> None:
        self.account = account
        self.rng = rng = random.Random(seed)
        weights = [kind.weight for kind in KINDS.values()]
        (self.name,) = rng.choices(list(KINDS), weights)
        self.kind = KINDS[self.name]
        self.size = rng.randint(self.kind.smallest, self.kind.largest)
        self.offset = rng.randrange(LENGTH)
        self.ledger = Ledger(self.offset, self.size)
        self.is_closed = False
        self.acknowledged = False
        self.urgent_tried = False
        self.doing = "nothing yet"
        self.scope = trio.CancelScope()
        self.stream: trio_wsarecv.SocketStream

    async def run(self, port: int) -> None:
        """Open it and receive until it ends."""
        account = self.account
        self.stream = await trio_wsarecv.open_tcp_stream("127.0.0.1", port)
        account.opened += 1
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
            account.checked += self.ledger.position
            if not self.is_closed and self.ledger.missing > 0:
                account.lost += self.ledger.missing
                account.failures.append(f"{self}: {self.ledger.missing} bytes are missing")
            self.stream.socket.close()

    def __str__(self) -> str:
        return (
            f"{self.name}, {self.ledger.position} of {self.ledger.total} bytes received, "
            f"last seen in {self.doing}" + (", closed by another task" if self.is_closed else "")
        )

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
                await self.react(nursery)
        except (OSError, trio.BrokenResourceError) as exc:
            # Calls of the socket that come after the closing get an OSError.
            if not self.is_closed and not (self.acknowledged and _is_reset(exc)):
                self.account.failures.append(f"{self}: {exc!r}")
        except trio.ClosedResourceError:
            if not self.is_closed:
                self.account.failures.append(f"{self}: closed by nobody")
        except (ValueError, BufferFault) as exc:
            self.account.failures.append(f"{self}: {exc}")

    async def receive_once(self) -> bool:
        """Receive in some way, for some time; return whether there is more to come."""
        receive = self.rng.choice(WAYS)
        self.doing = receive.__name__
        data = None
        seconds = self.rng.expovariate(1 / self.kind.patience) if self.rng.random() < 0.8 else 0
        with trio.move_on_after(seconds) as self.scope:
            data = await receive(self.stream, self.rng)
        if self.scope.cancelled_caught:
            self.account.faults["cancelled receives"] += 1
        if self.scope.cancel_called and data:
            self.account.faults["receives that got bytes although cancelled"] += 1
        if data is None:
            return True
        if not data:
            return False
        # What comes in the moment of a reset comes as far as it gets; it is nobody's business.
        if not (self.acknowledged and self.name == "reset"):
            self.ledger.enter(data)
        return True

    async def react(self, nursery: trio.Nursery) -> None:
        """Do what the connection's kind asks for at this point."""
        complete = self.ledger.missing == 0
        if self.name == "reset" and complete and not self.acknowledged:
            self.acknowledged = True
            await self.stream.send_all(b"a")
        elif self.name == "vanish" and complete and not self.acknowledged:
            self.acknowledged = True
            nursery.start_soon(self.close_soon)
        elif self.name == "urgent" and self.ledger.position == self.size // 2:
            await self.receive_urgent()

    async def receive_urgent(self) -> None:
        if self.urgent_tried:
            return
        self.urgent_tried = True
        self.doing = "receive_urgent"
        buffer = bytearray(1)
        # Only here, at its place in the stream.  Where that has been passed, and the stream has
        # ended, Wine 8.0 wakes such a receive for nothing, again and again, and does little else.
        with trio.move_on_after(self.rng.uniform(0, 0.2)):
            try:
                received, _ = await wsarecv(self.stream.socket, [buffer], MsgFlag.MSG_OOB)
            except OSError:
                return
            if received:
                self.account.faults["out-of-band bytes received"] += 1
                if buffer != URGENT:
                    raise ValueError(f"the out-of-band byte is {bytes(buffer)!r}")


async def cancel_late(account: Account, rng: random.Random) -> None:
    """Keep the thread busy now and then, and cancel receives that may have ended meanwhile.

    What comes from the network in such a moment, Trio does not know of yet.
    """
    while True:
        await trio.sleep(rng.uniform(0, 0.1))
        time.sleep(rng.uniform(0, 0.01))  # noqa: ASYNC251
        for connection in account.active:
            if rng.random() < 0.1:
                connection.scope.cancel()


def _is_reset(error: BaseException) -> bool:
    cause = error if isinstance(error, OSError) else error.__cause__
    return isinstance(cause, (ConnectionResetError, ConnectionAbortedError))


async def keep_open(account: Account, port: int, seeds: Callable[[], int], until: float) -> None:
    """Have a connection at all times until then, one after the other."""
    while trio.current_time() < until:
        connection = Connection(account, seeds())
        try:
            await connection.run(port)
        except OSError as exc:
            account.failures.append(f"cannot connect: {exc!r}")
            await trio.sleep(1)
