"""The figures in the text of README and the documentation, taken from the file of results.

A figure is written as ``KEYS; SUBJECT / BASE; FORM``.  KEYS are patterns of table keys, separated
by commas.  The figure is the range over all these tables and all runs.

=======  ============================================================================
FORM     what the figure is
=======  ============================================================================
(none)   the ratio to BASE, or to the table's own base: "0.62 to 0.70"
change   the same ratio in per cent: "30 to 38 % less", "2 % less to 1 % more"
value    the median: "3,120 to 3,290"
share    the median of a share, or with " + " between subjects their sum: "12 %"
=======  ============================================================================

``ratios``, ``drifted`` and ``drift`` tell how well the runs agree: how many ratios there are, how
many of them differ by more than a tenth between the runs, and by how many per cent the worst.

In the documentation this is the role ``measured``.  In README, which is not built, the figure
stands between two comments; ``python -m benchmarks --replot`` writes it again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from .results import Results, Table, digits

README: Final = Path(__file__).parents[1] / "README.md"
MARKED: Final = re.compile(r"(<!-- measured: (.+?) -->).*?(<!-- / -->)", re.DOTALL)
DRIFT: Final = 0.1  # how much a ratio may differ between the runs


def evaluate(expression: str, results: Results) -> str:
    """Return the figure for an expression.

    Raises:
      LookupError: nothing like that was measured.
    """
    if expression in AGREEMENT:
        return AGREEMENT[expression](_drifts(results))
    keys, subjects, *form = (part.strip() for part in expression.split(";"))
    subject, _, base = (part.strip() for part in subjects.partition(" / "))
    patterns = [pattern.strip() for pattern in keys.split(",")]
    pick, write = FORMS["".join(form)]
    values = [
        value
        for key, table in results.tables.items()
        if any(fnmatchcase(key, pattern) for pattern in patterns)
        for value in pick(table, subject, base)
    ]
    if not values:
        raise LookupError(expression)
    return write(min(values), max(values))


def rewrite(text: str, results: Results) -> str:
    """Return a text with all marked figures replaced."""
    return MARKED.sub(lambda found: found[1] + evaluate(found[2], results) + found[3], text)


def _medians(table: Table, subject: str, _: str) -> Iterator[float]:
    """Return a subject's median in each run, or the sum of those of several subjects."""
    subjects = (table.rows.get(name, []) for name in subject.split(" + "))
    for rows in zip(*subjects, strict=False):
        yield sum(row.median for row in rows)


def _ratios(table: Table, subject: str, base: str) -> Iterator[float]:
    """Return the ratio of a subject's figure to that of another one in each run."""
    rows, others = table.rows.get(subject, []), table.rows.get(base or table.base, [])
    for row, other in zip(rows, others, strict=False):
        if row.ratio and other.ratio:
            yield row.ratio / other.ratio


def _drifts(results: Results) -> list[float]:
    """Return for each ratio how much it differs between the runs, as a share."""
    found = (
        list(_ratios(table, name, ""))
        for table in results.tables.values()
        for name in table.rows
        if name != table.base
    )
    return [max(runs) / min(runs) - 1 for runs in found if len(runs) > 1]


def _range(texts: Iterable[str]) -> str:
    return " to ".join(dict.fromkeys(texts))


def _change(least: float, most: float) -> str:
    low, high = (round(100 * (ratio - 1)) for ratio in (least, most))
    if low < 0 < high:
        return f"{-low} % less to {high} % more"
    word, ends = ("less", (-high, -low)) if low < 0 else ("more", (low, high))
    return f"{_range(map(str, ends))} % {word}"


FORMS: Final[dict[str, tuple[Callable[..., Iterator[float]], Callable[[float, float], str]]]] = {
    "": (_ratios, lambda *ends: _range(f"{ratio:.2f}" for ratio in ends)),
    "change": (_ratios, _change),
    "value": (_medians, lambda *ends: _range(map(digits, ends))),
    "share": (_medians, lambda *ends: _range(f"{share:.0f}" for share in ends) + " %"),
}
AGREEMENT: Final[dict[str, Callable[[list[float]], str]]] = {
    "ratios": lambda found: str(len(found)),
    "drifted": lambda found: str(sum(each > DRIFT for each in found)),
    "drift": lambda found: f"{100 * max(found):.0f} %",
}
