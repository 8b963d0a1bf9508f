"""Progress on standard error: a bar on a terminal, a few plain lines elsewhere.

Under Wine the program writes to a pipe in any case.  So whoever starts it says with the variable
COLUMNS how wide the terminal at the other end is, if there is one.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from tqdm import tqdm


class Lines:
    """A line at each quarter."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.received = 0

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def update(self, nbytes: int) -> None:
        before = 4 * self.received // self.total
        self.received += nbytes
        if 4 * self.received // self.total > before:
            mib = 1 << 20
            print(f"   {self.received // mib} of {self.total // mib} MiB", file=sys.stderr)


def progress(total: int) -> Any:
    """Return a context manager to `update` with the number of bytes received."""
    columns = os.environ.get("COLUMNS")
    if not columns:
        return Lines(total)
    return tqdm(
        total=total,
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        mininterval=0.05,
        ncols=int(columns),
        bar_format="   {percentage:3.0f}% |{bar}| {n_fmt}B of {total_fmt}B, {rate_fmt}",
    )
