"""Ends in the way that its argument says; three receives are pending until then."""

import atexit
import sys

import trio

how = sys.argv[1]
atexit.register(print, "atexit")


async def let_the_others_run() -> None:
    # trio.testing.wait_all_tasks_blocked takes long to import.
    for _ in range(5):
        await trio.lowlevel.checkpoint()


async def main() -> None:
    pairs = [trio.socket.socketpair() for _ in range(3)]
    async with trio.open_nursery() as nursery:
        for left, right in pairs:
            nursery.start_soon(left.recv, 100)
            nursery.start_soon(right.recv, 100)
        await let_the_others_run()
        print("receiving")
        if how == "exception":
            raise ValueError("the reason")
        nursery.cancel_scope.cancel()
    for left, right in pairs:
        left.close()
        right.close()
    sys.exit(3)


trio.run(main)
