"""The counts of `tests.bench.calls`, as tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .machine import windows_path
from .processes import Child
from .subjects import OURS, STOCK
from .table import Table

if TYPE_CHECKING:
    from pathlib import Path

    from .machine import Machine

MODES = {"waiting": "a receive that has to wait", "inline": "a receive of what is there"}
CALLS = {"receive_some": "SocketStream.receive_some(64)", "recv": "Socket.recv(64)"}
KINDS = {"python": "calls of Python functions", "native": "calls of C functions"}
#: The functions of the system that a receive may need, of those that are counted.
SYSTEM = ("recv", "WSARecv", "GetQueuedCompletionStatusEx", "DeviceIoControl", "CancelIoEx")


def measure(machine: Machine, script: Path, receives: int) -> list[Table]:
    """Count for stock Trio and for us, in a stream's receives and in a socket's."""
    tables = []
    for mode, title in MODES.items():
        for call, name_of_call in CALLS.items():
            results = {
                name: _run(machine, script, name, mode, call, receives) for name in (STOCK, OURS)
            }
            for kind, figure in KINDS.items():
                table = Table(
                    f"calls-{mode}-{call}-{kind}",
                    f"{title}, {name_of_call}",
                    figure,
                    "per receive",
                    False,
                )
                for name, result in results.items():
                    table.rows[name] = [result[kind]]
                    system = (f"{each} {result['calls'].get(each, 0):g}" for each in SYSTEM)
                    table.notes.append(f"{name}: {', '.join(system)}")
                tables.append(table)
    return tables


def _run(machine: Machine, script: Path, *arguments: object) -> dict[str, Any]:
    command = [*machine.launcher, machine.python, windows_path(script), *map(str, arguments)]
    child = Child(command, machine.environ, machine.folder)
    result: dict[str, Any] = json.loads(child.answer("calls"))
    child.finish()
    return result
