"""Shrinks a program that fails, by leaving out bursts, then operations."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf
from typing import Any

from .program import Burst, Program, Receive

#: The attributes of a receive that may have their defaults instead.
SIMPLER = ("frames", "times", "deadline", "peek", "caught", "call", "size", "group")


def shrink(program: Program, fails: Callable[[Program], bool], seconds: float = inf) -> Program:
    """Return the smallest program found in time that still fails."""
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
    if len(runs) > 1:
        yield from (replace(program, runs=rest) for rest in _shorter(runs))
    if len(program.sockets) > 1:
        yield from (_without_socket(program, each) for each in range(len(program.sockets)))
    for r, run in enumerate(runs):
        yield from (replace(program, runs=_with(runs, r, rest)) for rest in _shorter(run))
    for r, run in enumerate(runs):
        for b, burst in enumerate(run):
            for other in (*_shorter(burst), *_simpler(burst)):
                yield replace(program, runs=_with(runs, r, _with(run, b, other)))


def _shorter(items: list[Any]) -> Iterator[list[Any]]:
    for index in range(len(items)):
        yield items[:index] + items[index + 1 :]


def _with(items: list[Any], index: int, item: Any) -> list[Any]:
    return [*items[:index], item, *items[index + 1 :]]


def _simpler(burst: Burst) -> Iterator[Burst]:
    for index, each in enumerate(burst):
        if isinstance(each, Receive):
            usual = Receive(each.name, each.socket)
            for simpler in (replace(each, **{name: getattr(usual, name)}) for name in SIMPLER):
                if simpler != each:
                    yield _with(burst, index, simpler)


def _without_socket(program: Program, socket: int) -> Program:
    def renumbered(operation: Any) -> Any:
        number = getattr(operation, "socket", -1)
        return replace(operation, socket=number - 1) if number > socket else operation

    runs = [
        [
            [renumbered(each) for each in burst if getattr(each, "socket", None) != socket]
            for burst in run
        ]
        for run in program.runs
    ]
    return Program(program.sockets[:socket] + program.sockets[socket + 1 :], runs)
