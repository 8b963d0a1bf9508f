"""The figures in the text of README and the documentation, written from the file of results.

A figure stands for ``KEYS; SUBJECT / BASE; FORM``.  KEYS are patterns, as of file names, with a
comma between any two.  The figure is the range over all these tables and all runs.

=======  ============================================================================
FORM     what the figure is
=======  ============================================================================
(none)   how many times that of BASE, or of the table's own base, it is: "0.62 to 0.70"
less     how many percent less: "30 to 38 %"
more     how many percent more
value    the median: "3,120 to 3,290"
share    the median of a share, or with " + " between subjects the sum of theirs: "12 %"
=======  ============================================================================

``ratios``, ``drifted`` and ``drift`` say how the runs agree: how many ratios there are, how many of
them differ by more than a tenth from run to run, and by how many percent the worst.

In the documentation this is the role ``measured``.  In README, which nobody builds, the figure
stands between two comments; ``python -m benchmarks.figures`` writes it anew.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .results import OUTPUT, read
from .table import digits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .results import Result, Results

README: Final = Path(__file__).parents[1] / "README.md"
MARKED: Final = re.compile(r"(<!-- measured: (.+?) -->).*?(<!-- / -->)", re.DOTALL)
DRIFT: Final = 0.1  # how far a ratio may differ from run to run, and count as the same


class UnknownFigureError(Exception):
    """There is nothing in the results that an expression stands for."""


def evaluate(expression: str, results: Results) -> str:
    """Return the figure that an expression stands for.

    Raises:
      UnknownFigureError: there is none.
    """
    if expression in AGREEMENT:
        return AGREEMENT[expression](list(drifts(results)))
    keys, who, *form = (part.strip() for part in expression.split(";"))
    subject, _, base = (part.strip() for part in who.partition(" / "))
    patterns = [pattern.strip() for pattern in keys.split(",")]
    tables = [
        table
        for key, table in results.tables.items()
        if any(fnmatchcase(key, pattern) for pattern in patterns)
    ]
    write, is_ratio = FORMS["".join(form)]
    pick = ratios if is_ratio else medians
    values = [value for table in tables for value in pick(table, subject, base)]
    if not values:
        raise UnknownFigureError(expression)
    texts = sorted({write(value) for value in values}, key=_number)
    least, *_, most = [*texts, ""] if len(texts) == 1 else texts
    return f"{least.removesuffix(' %')} to {most}" if most else least


def _number(text: str) -> float:
    return float(text.replace(",", "").removesuffix(" %"))


def medians(table: Result, subject: str, _: str) -> Iterator[float]:
    """Return a subject's median in each run, or the sum of those of several subjects."""
    subjects = (table.rows.get(name, []) for name in subject.split(" + "))
    for rows in zip(*subjects, strict=False):
        if None not in rows:
            yield sum(row.median for row in rows if row)


def ratios(table: Result, subject: str, base: str) -> Iterator[float]:
    """Return in each run how many times that of another a subject's figure is."""
    rows = table.rows.get(subject, [])
    others = table.rows.get(base or table.base, [])
    for row, other in zip(rows, others, strict=False):
        if row and other and row.ratio and other.ratio:
            yield row.ratio / other.ratio


def drifts(results: Results) -> Iterator[float]:
    """Return by what share each ratio differs from run to run."""
    for table in results.tables.values():
        for name in table.rows:
            found = list(ratios(table, name, ""))
            if name != table.base and len(found) > 1:
                yield max(found) / min(found) - 1


def rewrite(text: str, results: Results) -> str:
    """Return a text with all marked figures written anew."""
    return MARKED.sub(lambda found: found[1] + evaluate(found[2], results) + found[3], text)


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


FORMS: Final[dict[str, tuple[Callable[[float], str], bool]]] = {
    "": (lambda ratio: f"{ratio:.2f}", True),
    "less": (lambda ratio: _percent(1 - ratio), True),
    "more": (lambda ratio: _percent(ratio - 1), True),
    "value": (digits, False),
    "share": (lambda median: f"{median:.0f} %", False),
}
AGREEMENT: Final[dict[str, Callable[[list[float]], str]]] = {
    "ratios": lambda found: str(len(found)),
    "drifted": lambda found: str(sum(each > DRIFT for each in found)),
    "drift": lambda found: _percent(max(found)),
}


def write_readme(results: Results) -> None:
    """Write the figures of README anew."""
    README.write_text(rewrite(README.read_text("utf-8"), results), "utf-8")


if __name__ == "__main__":
    write_readme(read(OUTPUT))
