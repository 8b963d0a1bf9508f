"""Ends while receives are pending: ``exits.py ours|stock HOW``."""

from __future__ import annotations

import gc
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable

import trio

import trio_wsarecv

_, kind, how = sys.argv
adopt = {
    "ours": trio_wsarecv.from_stdlib_socket,
    "stock": trio.socket.from_stdlib_socket,
}[kind]


def fail() -> None:
    raise ValueError("the reason")


class FailingClock(trio.abc.Clock):
    """Makes the run loop itself fail, so that Trio drops all tasks where they are."""

    def __init__(self) -> None:
        self.failing = False

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return 0.0

    def deadline_to_sleep_time(self, deadline: float) -> float:
        if self.failing:
            fail()
        return deadline


async def let_the_others_run() -> None:
    # trio.testing.wait_all_tasks_blocked takes long to import.
    for _ in range(5):
        await trio.lowlevel.checkpoint()


async def receive_for_ever(nursery: trio.Nursery) -> None:
    """Start receives of every kind, which stay pending."""
    sockets = [adopt(sock) for _ in range(3) for sock in stdlib_pair()]
    nursery.start_soon(sockets[0].recv, 1000)
    nursery.start_soon(sockets[1].recv_into, bytearray(1000))
    for sock in sockets[2:]:
        if isinstance(sock, trio_wsarecv.Socket):
            nursery.start_soon(trio_wsarecv.SocketStream(sock).receive_exactly, 1000)
        else:
            nursery.start_soon(sock.recv, 1000)
    await sockets[3].send(b"a beginning")
    await let_the_others_run()
    print("receiving", flush=True)


def stdlib_pair() -> tuple[socket.socket, socket.socket]:
    pair = socket.socketpair()
    kept.extend(pair)
    return pair


# Python would warn of sockets that are collected before they are closed.
kept: list[socket.socket] = []


async def main() -> None:
    async with trio.open_nursery() as nursery:
        await receive_for_ever(nursery)
        if how == "exception":
            nursery.start_soon(trio.lowlevel.checkpoint)
            fail()
        elif how == "exit":
            sys.exit(5)
        elif how == "os._exit":
            os._exit(7)
        elif how == "interrupt":
            await trio.to_thread.run_sync(signal.raise_signal, signal.SIGINT)
            await trio.sleep_forever()
        elif how == "internal error":
            trio.lowlevel.current_trio_token().run_sync_soon(fail)
            await trio.sleep_forever()
        elif how == "crash":
            clock.failing = True
            await trio.sleep_forever()
        elif how in ("daemon", "guest"):
            done.put(None)
            await trio.sleep_forever()


done: queue.SimpleQueue[object] = queue.SimpleQueue()
clock = FailingClock()

if how == "daemon":
    threading.Thread(target=trio.run, args=[main], daemon=True).start()
    done.get()
elif how == "guest":
    calls: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
    trio.lowlevel.start_guest_run(
        main,
        run_sync_soon_threadsafe=calls.put,
        done_callback=print,
        host_uses_signal_set_wakeup_fd=True,
    )
    while done.empty():
        calls.get()()
elif how == "crash":
    for _attempt in range(3):
        clock = FailingClock()
        try:
            trio.run(main, clock=clock)
        except trio.TrioInternalError as exc:
            print(repr(exc.__cause__))
        gc.collect()
else:
    trio.run(main)
print("the last line", flush=True)
