"""The plots of the documentation, drawn from the file of results: a few tables on each.

A subject has the same colour everywhere.  Each plot is there with its tables side by side, and for
narrow pages with one below the other.
"""

from __future__ import annotations

import importlib
import io
import textwrap
from typing import TYPE_CHECKING, Any, Final

from .subjects import OURS, RAW, RUN, SOCKET
from .table import MARK, digits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .results import Result, Results

#: The title of each plot, and the keys of its tables.
PLOTS: Final = {
    "overview": ("Receiving on streams", ("paced-20", "chunks", "frames", "echo-50")),
    "memory": ("Memory of connections", ("idle", "burst-default", "burst-64k", "burst-drop")),
    "datagrams": ("Receiving datagrams", ("datagrams-paced", "datagrams-burst")),
    "http": ("Web servers", ("http-paced", "http-busy")),
}
#: What comes after the key in a file's name, by the number of columns.
COLUMNS: Final = {2: "", 1: "-narrow"}
WIDTH: Final = 5  # inches, of a column
LINE: Final = 85  # characters of the footer, in a column
#: The colour of all that has such a word in its name: the first that is found.
COLOURS: Final = {
    RUN: "#56b4e9",
    OURS: "#0072b2",
    ", run": "#56b4e9",
    SOCKET: "#bbbbbb",
    "winloop": "#009e73",
    "asyncio": "#e69f00",
    RAW: "#222222",
    "rio": "#7f7f7f",  # Trio, in lower case or not
}
#: What makes the files small.
SMALL: Final = ("--enable-id-stripping", "--shorten-ids", "--remove-metadata", "--indent=none")
FOOTER: Final = "Bar: the median of the rounds.  Line on it: from the smallest to the largest."


def draw(results: Results, folder: Path) -> None:
    """Draw every plot whose tables there are."""
    for key, (title, keys) in PLOTS.items():
        if all(each in results.tables for each in keys):
            tables = [results.tables[each] for each in keys]
            for columns, suffix in COLUMNS.items():
                target = folder / f"{key}{suffix}.svg"
                _draw(key, title, tables, columns, results.about[0], target)


def _bars(axes: Any, table: Result) -> None:
    rows = table.first()
    names = [f"{name}{MARK if row.limit else ''}" for name, row in rows.items()]
    medians = [row.median for row in rows.values()]
    below = [row.median - row.least for row in rows.values()]
    above = [row.most - row.median for row in rows.values()]
    colours = [next(c for word, c in COLOURS.items() if word in name) for name in rows]
    line = {"elinewidth": 1, "ecolor": "#d55e00"}
    bars = axes.barh(names, medians, xerr=[below, above], color=colours, error_kw=line)
    axes.bar_label(bars, list(map(digits, medians)), padding=4, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2 * max(row.most for row in rows.values()))
    axes.tick_params(labelsize=8, length=0)
    axes.set_xticks([])
    title, unit, more = table.figure
    axes.set_title(textwrap.fill(table.title, 50), loc="left", fontsize=9)
    axes.set_xlabel(f"{title}, {unit} ({'more' if more else 'less'} is better)", fontsize=8)
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _draw(
    key: str, title: str, tables: Sequence[Result], columns: int, about: str, target: Path
) -> None:
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("svg")
    # The same file from the same figures.
    matplotlib.rcParams.update({"svg.hashsalt": key, "svg.fonttype": "none"})
    matplotlib.rcParams["font.sans-serif"] = ["DejaVu Sans"]
    pyplot = importlib.import_module("matplotlib.pyplot")
    lines = -(-len(tables) // columns)
    size = WIDTH * columns, 1 + lines * (0.9 + 0.25 * max(len(table.first()) for table in tables))
    shape = {"figsize": size, "layout": "constrained", "squeeze": False}
    figure, panels = pyplot.subplots(lines, columns, **shape)
    limits = set()
    for axes, table in zip(panels.flat, tables, strict=True):
        _bars(axes, table)
        rows = table.first().items()
        limits |= {f"{MARK} {name}: {row.limit}" for name, row in rows if row.limit}
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    footer = [textwrap.fill(line, LINE * columns) for line in (FOOTER, about, *sorted(limits))]
    figure.supxlabel("\n".join(footer), x=0.01, ha="left", fontsize=8)
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    scour: Any = importlib.import_module("scour.scour")
    target.write_text(scour.scourString(drawn.getvalue(), scour.parse_args([*SMALL])), "utf-8")
