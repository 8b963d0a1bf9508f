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
adopt = trio_wsarecv.from_stdlib_socket if kind == "ours" else trio.socket.from_stdlib_socket
# Python would warn of sockets that are collected before they are closed.
kept = [adopt(sock) for _ in range(3) for sock in socket.socketpair()]
receiving = threading.Event()


def fail() -> None:
    raise ValueError("the reason")


class FailingClock(trio.abc.Clock):
    """Makes the run loop itself fail, so that Trio drops all tasks where they are."""

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return 0.0

    def deadline_to_sleep_time(self, deadline: float) -> float:
        if how == "crash" and receiving.is_set():
            fail()
        return deadline


async def main() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kept[0].recv, 1000)
        nursery.start_soon(kept[1].recv_into, bytearray(1000))
        for sock in kept[2:]:
            if isinstance(sock, trio_wsarecv.Socket):
                nursery.start_soon(trio_wsarecv.SocketStream(sock).receive_exactly, 1000)
            else:
                nursery.start_soon(sock.recv, 1000)
        await kept[3].send(b"a beginning")
        # trio.testing.wait_all_tasks_blocked takes long to import.
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        print("receiving", flush=True)
        receiving.set()
        if how == "exception":
            nursery.start_soon(trio.lowlevel.checkpoint)
            fail()
        elif how == "exit":
            sys.exit(5)
        elif how == "os._exit":
            os._exit(7)
        elif how == "interrupt":
            await trio.to_thread.run_sync(signal.raise_signal, signal.SIGINT)
        elif how == "internal error":
            trio.lowlevel.current_trio_token().run_sync_soon(fail)
        await trio.sleep_forever()


if how == "daemon":
    threading.Thread(target=trio.run, args=[main], daemon=True).start()
    receiving.wait()
elif how == "guest":
    calls: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
    trio.lowlevel.start_guest_run(
        main,
        run_sync_soon_threadsafe=calls.put,
        done_callback=print,
        host_uses_signal_set_wakeup_fd=True,
    )
    while not receiving.is_set():
        calls.get()()
elif how == "crash":
    try:
        trio.run(main, clock=FailingClock())
    except trio.TrioInternalError as exc:
        print(repr(exc.__cause__))
    gc.collect()
else:
    trio.run(main)
print("the last line", flush=True)
