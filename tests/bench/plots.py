"""The plots of the documentation, drawn from what the JSON file has: a few tables on each.

A subject has the same colour everywhere.
"""

from __future__ import annotations

import importlib
import json
import textwrap
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .subjects import LOOPS, OURS, RAW, RUN, SOCKET, STYLES
from .summary import RESULTS, about_line
from .table import MARK, digits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Plot(NamedTuple):
    """A plot.

    Attributes:
      title: what it shows.
      tables: the keys of the tables.
      versions: what the JSON file calls the versions of what is in them.
    """

    title: str
    tables: tuple[str, ...]
    versions: str = "versions"


PLOTS: Final = {
    "overview": Plot("Receiving on streams", ("paced-20", "chunks", "frames", "echo-50")),
    "memory": Plot(
        "Memory of a connection that waits", ("idle", "burst-default", "burst-64k", "burst-drop")
    ),
    "datagrams": Plot(
        "Receiving datagrams",
        ("datagrams-paced", "datagrams-burst", "datagrams-echo-1", "datagrams-echo-50"),
    ),
    "http": Plot("Web servers", ("http-paced", "http-busy"), "web versions"),
}

COLUMNS: Final = 2

#: The colour of all that has such a word in its name: the first that is found.
COLOURS: Final = {
    RUN: "#56b4e9",
    OURS: "#0072b2",
    ", run": "#56b4e9",
    SOCKET: "#bbbbbb",
    "winloop": "#009e73",
    "asyncio": "#e69f00",
    "rio": "#7f7f7f",
    RAW: "#222222",
}

#: Of those that differ in nothing but their style, a plot has the best.
ALIKE: Final = tuple([f"{loop} {style}" for style in STYLES.values()] for loop in LOOPS)

FOOTER: Final = (
    "Bar: the median of the rounds.  Line on it: from the least of them to the greatest."
)


def colour(name: str) -> str:
    """Return the colour of a subject."""
    return next(colour for word, colour in COLOURS.items() if word in name)


def draw(folder: Path) -> None:
    """Draw, into a folder, every plot whose tables are in the JSON file that is there."""
    results = json.loads((folder / RESULTS).read_text("utf-8"))
    tables = results["tables"]
    for key, plot in PLOTS.items():
        if all(table in tables for table in plot.tables):
            chosen = [tables[table] for table in plot.tables]
            about = about_line(results["about"], plot.versions)
            _draw(key, plot, chosen, f"{about}.", folder / f"{key}.svg")


def _shown(table: dict[str, Any]) -> list[str]:
    """Return the names of the subjects that a plot has, of a table."""
    rows = table["rows"]
    names = list(rows)
    choose = max if table["more is better"] else min
    for group in ALIKE:
        there = [name for name in group if name in rows]
        if there:
            best = choose(there, key=lambda name: float(rows[name]["median"]))
            names = [name for name in names if name == best or name not in there]
    return names


def _bars(axes: Any, table: dict[str, Any]) -> None:
    """Draw the medians of a table, with a line from the least to the greatest."""
    names = _shown(table)
    rows = [table["rows"][name] for name in names]
    medians = [row["median"] for row in rows]
    bars = axes.barh(
        [f"{name}{MARK if name in table['limits'] else ''}" for name in names],
        medians,
        xerr=[
            [row["median"] - row["minimum"] for row in rows],
            [row["maximum"] - row["median"] for row in rows],
        ],
        color=[colour(name) for name in names],
        error_kw={"elinewidth": 1, "ecolor": "#d55e00", "capsize": 2},
    )
    axes.bar_label(bars, [digits(median, 3) for median in medians], padding=4, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2 * max(row["maximum"] for row in rows))
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.locator_params(axis="x", nbins=6)
    better = "more" if table["more is better"] else "less"
    axes.set_title(textwrap.fill(table["title"], 50), loc="left", fontsize=9)
    axes.set_xlabel(f"{table['figure']}, {table['unit']} ({better} is better)", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _draw(key: str, plot: Plot, tables: Sequence[dict[str, Any]], about: str, target: Path) -> None:
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("svg")
    # Draws the same file from the same figures.
    matplotlib.rcParams["svg.hashsalt"] = key
    matplotlib.rcParams["svg.fonttype"] = "none"
    pyplot = importlib.import_module("matplotlib.pyplot")
    lines = -(-len(tables) // COLUMNS)
    tallest = max(len(_shown(table)) for table in tables)
    figure, panels = pyplot.subplots(
        lines,
        COLUMNS,
        figsize=(10, 1 + lines * (0.9 + 0.25 * tallest)),
        layout="constrained",
        squeeze=False,
    )
    for axes, table in zip(panels.flat, tables, strict=True):
        _bars(axes, table)
    limits = {
        f"{MARK} {name}: {limit}"
        for table in tables
        for name, limit in table["limits"].items()
        if name in _shown(table)
    }
    figure.suptitle(plot.title, x=0.01, ha="left", fontsize=12)
    footer = [textwrap.fill(line, 170) for line in (FOOTER, about, *sorted(limits))]
    figure.supxlabel("\n".join(footer), x=0.01, ha="left", fontsize=8)
    figure.savefig(target, metadata={"Date": None})
    pyplot.close(figure)
