"""Ends with a status of its own; six receives were pending until then."""

import atexit
import sys

import trio

atexit.register(print, "atexit")


async def main() -> None:
    pairs = [trio.socket.socketpair() for _ in range(3)]
    async with trio.open_nursery() as nursery:
        for sock in (sock for pair in pairs for sock in pair):
            nursery.start_soon(sock.recv, 100)
        for _ in range(5):  # trio.testing.wait_all_tasks_blocked takes long to import
            await trio.lowlevel.checkpoint()
        print("receiving")
        nursery.cancel_scope.cancel()
    sys.exit(3)


trio.run(main)
