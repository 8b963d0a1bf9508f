"""What processes have used: processor time and resident memory."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil


def processor_seconds(*pids: int | None) -> float:
    """Return the processor time that these processes have used so far, in seconds."""
    return sum(_processor_seconds(pid) for pid in pids if pid is not None)


def _processor_seconds(pid: int) -> float:
    if sys.platform == "linux":
        # In nanoseconds; the figures of psutil are in hundredths of a second there.
        tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def resident_bytes(pid: int) -> int:
    """Return how much physical memory a process occupies."""
    return int(psutil.Process(pid).memory_info().rss)
