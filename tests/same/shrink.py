"""Makes a program that fails as small as it can be, by leaving out bursts, then operations."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf

from .program import Burst, Busy, CancelGroup, CancelOne, Program, Receive

#: The attributes of a receive that may be as usual instead.
SIMPLER = ("frames", "times", "deadline", "peek", "caught", "call", "size", "group")


def shrink(program: Program, fails: Callable[[Program], bool], seconds: float = inf) -> Program:
    """Return a program that still fails and of which nothing can be left out, if there is time."""
    until = time.monotonic() + seconds
    while True:
        for smaller in _smaller(program):
            if time.monotonic() > until:
                return program
            if fails(smaller):
                program = smaller
                break
        else:
            return program


def _smaller(program: Program) -> Iterator[Program]:
    # The larger steps first.
    runs = program.runs
    for index in range(len(runs) if len(runs) > 1 else 0):
        yield replace(program, runs=runs[:index] + runs[index + 1 :])
    for socket in range(len(program.sockets) if len(program.sockets) > 1 else 0):
        yield _without_socket(program, socket)
    for r, run in enumerate(runs):
        for index in range(len(run)):
            yield replace(program, runs=[*runs[:r], run[:index] + run[index + 1 :], *runs[r + 1 :]])
    for r, run in enumerate(runs):
        for b, burst in enumerate(run):
            for index, operation in enumerate(burst):
                rest = burst[:index], burst[index + 1 :]
                yield _with_burst(program, r, b, rest[0] + rest[1])
                if isinstance(operation, Receive):
                    usual = Receive(operation.name, operation.socket)
                    for name in SIMPLER:
                        value = getattr(usual, name)
                        if value != getattr(operation, name):
                            simpler = replace(operation, **{name: value})
                            yield _with_burst(program, r, b, [*rest[0], simpler, *rest[1]])


def _with_burst(program: Program, r: int, b: int, burst: Burst) -> Program:
    run = list(program.runs[r])
    run[b] = burst
    return replace(program, runs=[*program.runs[:r], run, *program.runs[r + 1 :]])


def _without_socket(program: Program, socket: int) -> Program:
    def renumbered(burst: Burst) -> Burst:
        rest = [each for each in burst if getattr(each, "socket", None) != socket]
        return [
            each
            if isinstance(each, CancelOne | CancelGroup | Busy)
            else replace(each, socket=each.socket - (each.socket > socket))
            for each in rest
        ]

    runs = [[renumbered(burst) for burst in run] for run in program.runs]
    return Program(program.sockets[:socket] + program.sockets[socket + 1 :], runs)
