"""The process under test: ``python -m tests.soak.client PORT SECONDS CONNECTIONS SEED``."""

from __future__ import annotations

import itertools
import os
import random
import sys
from collections.abc import Iterator
from dataclasses import fields

import trio

import trio_wsarecv

from .connection import KINDS, Account, cancel_late, keep_open
from .peer import raise_file_limit
from .resources import Resources, held, held_once_settled

#: Seconds that the last bytes may take, once the peer has been told to hurry.
LAST_BYTES = 40.0
#: And seconds that it may take to cancel what has not ended then.
STUCK = 10.0
#: How much of the connections asked for must have been open at once.
LOAD = 0.9
#: How much of the time is for getting warm, before what is held is looked at.
WARMING_UP = 0.25
INTERVAL = 1.0
SHOWN = 20


class Load:
    """How much there was at once, at the most."""

    def __init__(self) -> None:
        self.connections = 0
        self.in_kernel = 0

    def note(self, account: Account) -> None:
        self.connections = max(self.connections, len(account.active))
        engines = [connection.stream.socket.receiver.engine for connection in account.active]
        operations = [getattr(engine, "operation", None) for engine in engines]
        in_kernel = sum(
            operation is not None and operation.is_in_kernel for operation in operations
        )
        self.in_kernel = max(self.in_kernel, in_kernel)


async def watch(account: Account, load: Load, connections: int, until: float) -> None:
    began = trio.current_time()
    for second in itertools.count():
        await trio.sleep_until(began + second * INTERVAL)
        load.note(account)
        if second % 10 == 0:
            print(
                f"{second:4} s: {len(account.active)} of {connections} connections open, "
                f"{account.opened} opened so far, {account.checked:,} bytes checked",
                flush=True,
            )
        if trio.current_time() > until + LAST_BYTES + STUCK:
            # One that cannot even be cancelled: all there is to do is to say so and to end.
            for connection in account.active:
                print("FAILURE: stuck:", connection, flush=True)
            os._exit(1)


async def soak(
    port: int, seconds: float, connections: int, seeds: Iterator[int], account: Account, load: Load
) -> None:
    """Keep so many connections open for so long, and then see them to their ends."""
    async with trio.open_nursery() as watching:
        until = trio.current_time() + seconds
        watching.start_soon(watch, account, load, connections, until)
        watching.start_soon(cancel_late, account, random.Random(next(seeds)))
        with trio.CancelScope(deadline=until + LAST_BYTES) as scope:
            async with trio.open_nursery() as nursery:
                for _ in range(connections):
                    nursery.start_soon(keep_open, account, port, lambda: next(seeds), until)
                await trio.sleep_until(until)
                async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                    await stream.send_all(b"hurry\n")
        if scope.cancelled_caught:
            account.failures.append(f"connections were still open after {LAST_BYTES} s")
        watching.cancel_scope.cancel()


def report(account: Account, load: Load, before: Resources, after: Resources) -> None:
    print(f"load held: {load.connections} connections at once, {account.opened} in all,")
    print(f"           {load.in_kernel} receives in the kernel at once")
    print("faults injected:")
    for name, number in sorted(account.faults.items()):
        print(f"  {number:9,} {name}")
    print("receives:")
    statistics = trio_wsarecv.statistics()
    for field in fields(statistics):
        print(f"  {getattr(statistics, field.name):9,} {field.name}")
    print(f"held before: {before}")
    print(f"held after:  {after}")
    print(f"bytes checked: {account.checked:,}")
    print(f"bytes lost: {account.lost:,}")


def main(port: int, seconds: float, connections: int, seed: int) -> int:
    raise_file_limit()
    seeds = itertools.count(seed)
    account, load = Account(), Load()
    warming_up = seconds * WARMING_UP
    trio.run(soak, port, warming_up, connections, seeds, account, load)
    before = held()
    trio.run(soak, port, seconds - warming_up, connections, seeds, account, load)
    after = held_once_settled(before)

    failures = account.failures
    failures += [f"held on to {what}" for what in after.growth_since(before)]
    if load.connections < LOAD * connections:
        failures.append(f"only {load.connections} of {connections} connections were open at once")
    wanted = (*KINDS, "closed by another task", "cancelled receives")
    failures += [f"nothing was injected of: {name}" for name in wanted if not account.faults[name]]
    report(account, load, before, after)
    for failure in failures[:SHOWN]:
        print("FAILURE:", failure)
    if failures[SHOWN:]:
        print(f"and {len(failures) - SHOWN} more")
    return 1 if failures or account.lost or not account.checked else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
