"""Says what kind of sockets Trio makes in a worker process, and in a worker of that one."""

from __future__ import annotations

import socket
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import trio


def kinds(generations: int) -> list[str]:
    with socket.socket() as sock:
        here = type(trio.socket.from_stdlib_socket(sock)).__module__.split(".")[0]
    return [here, *(kinds_in_worker(generations - 1) if generations > 1 else [])]


def kinds_in_worker(generations: int) -> list[str]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        return executor.submit(kinds, generations).result()


if __name__ == "__main__":
    print(*kinds_in_worker(2))
