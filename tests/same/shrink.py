"""Shrinks a program that fails, by leaving out parts of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, replace
from math import inf
from typing import Any

from .program import Burst, Operation, Program


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
    if len(program.sockets) > 1:
        yield from (_without_socket(program, each) for each in range(len(program.sockets)))
    yield from (Program(program.sockets, runs) for runs in _with_less(program.runs))


def _without_socket(program: Program, socket: int) -> Program:
    def kept(burst: Burst) -> Iterator[Operation]:
        each: Any
        for each in burst:
            number = getattr(each, "socket", -1)
            if number != socket:
                yield replace(each, socket=number - 1) if number > socket else each

    runs = [[list(kept(burst)) for burst in run] for run in program.runs]
    return Program(program.sockets[:socket] + program.sockets[socket + 1 :], runs)


def _with_less(data: Any) -> Iterator[Any]:
    # Leaves out one thing of nested lists: first a large one, at last one argument of an operation.
    if isinstance(data, list):
        for index in range(len(data)):
            yield data[:index] + data[index + 1 :]
        for index, each in enumerate(data):
            for less in _with_less(each):
                yield [*data[:index], less, *data[index + 1 :]]
    else:
        for each in fields(data):
            if each.default not in (MISSING, getattr(data, each.name)):
                yield replace(data, **{each.name: each.default})
