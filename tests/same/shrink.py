"""Shrinks a program that fails, by leaving out parts of its JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import Any

from .program import Program


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
    data = json.loads(program.to_json())
    for runs in _with_less(data["runs"]):
        with suppress(TypeError, ValueError):  # an operation without what it needs
            yield Program.from_json(json.dumps({**data, "runs": runs}))


def _with_less(data: Any) -> Iterator[Any]:
    # Leaves out one thing of a structure: first a large one, at last one argument of an operation.
    if not isinstance(data, (list, dict)):
        return
    keys = list(data) if isinstance(data, dict) else range(len(data))
    for key in keys:
        smaller = data.copy()
        del smaller[key]
        yield smaller
    for key in keys:
        for less in _with_less(data[key]):
            smaller = data.copy()
            smaller[key] = less
            yield smaller


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
