"""Results: a table for each figure of a work, with a row for each subject; and their names."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

STOCK: Final = "trio"
SOCKET: Final = "trio.socket, recv_into"
OURS: Final = "trio_wsarecv"
RUN: Final = "trio_wsarecv run"
LOOPS: Final = ("asyncio", "winloop")
RAW: Final = "raw C"
RAW_SKIP: Final = "raw C, skip on success"

STOCK_DATAGRAMS: Final = "trio recvfrom"
RUN_DATAGRAMS: Final = f"{RUN} recvfrom"
CALLS: Final = ("recvfrom", "recvfrom_into", "recvfrom_many", "sendto_many", "recvmsg")
BARE: Final = "trio wait_overlapped"

SCHEMES: Final = ("http", "https")

MARK: Final = "*"  # of a figure that something other than the subject has limited


def significant(value: float) -> float:
    """Return a figure with three digits, or with all if it is a small whole number (a count)."""
    exact = value == int(value) and value < 10_000
    rounded = value if exact else float(f"{value:.3g}")
    return int(rounded) if rounded == int(rounded) else rounded


def digits(value: float) -> str:
    return f"{significant(value):,}"


class Figure(NamedTuple):
    """What is measured."""

    title: str
    unit: str
    more_is_better: bool = False

    @property
    def arrow(self) -> str:
        return "↑" if self.more_is_better else "↓"


class Row(NamedTuple):
    """What is kept of the rounds of a subject."""

    median: float
    least: float
    most: float
    ratio: float | None = None  # the median of the ratios to the base, one for each round
    limit: str = ""  # what limited the figure, if not the subject itself

    @property
    def text(self) -> str:
        return f"{digits(self.median)}{MARK if self.limit else ''}"


@dataclass
class Table:
    """One figure of several subjects, measured in alternating rounds."""

    key: str
    title: str
    figure: Figure
    base: str = STOCK  # the subject that the others are compared with
    rows: dict[str, list[float]] = field(default_factory=dict)  # the figures of all rounds
    limits: dict[str, str] = field(default_factory=dict)  # what limited a subject

    def add(self, subject: str, *figures: float) -> None:
        self.rows.setdefault(subject, []).extend(figures)

    def ratios(self, subject: str, base: str) -> Sequence[float]:
        """Return the ratio of a subject's figure to that of another one in each round."""
        pairs = zip(self.rows[subject], self.rows.get(base, ()), strict=False)
        return [one / other for one, other in pairs if other]

    def row(self, subject: str) -> Row:
        figures, ratios = self.rows[subject], self.ratios(subject, self.base)
        ratio = significant(statistics.median(ratios)) if ratios else None
        figures = [statistics.median(figures), min(figures), max(figures)]
        median, least, most = map(significant, figures)
        return Row(median, least, most, ratio, self.limits.get(subject, ""))

    def lines(self) -> list[str]:
        """Return the table as text."""
        lines = [f"{self.figure.arrow} {self.title}: {self.figure.title}, {self.figure.unit}"]
        for name, row in ((name, self.row(name)) for name in self.rows):
            spread, ratio = f"{digits(row.least)} – {digits(row.most)}", ""
            if ratios := sorted(self.ratios(name, self.base)):
                half = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]  # the middle half
                ratio = f"× {statistics.median(ratios):.3f} ({half[0]:.3f} – {half[1]:.3f})"
            lines.append(f"  {name:46}{row.text:>10}  {spread:>19}  {ratio}  {row.limit}")
        return lines
