"""The plots of the documentation, one for each of these tables of the results.

A subject has the same colour in all of them.
"""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from typing import Any, Final

from .results import MARK, OURS, RAW, RUN, SOCKET, Results, Table, digits

#: The keys of the tables that the documentation shows as plots.
PLOTS: Final = (
    *("paced-20", "chunks", "frames", "echo-50"),
    *("idle", "burst-default", "burst-64k", "burst-drop"),
    *("datagrams-paced", "datagrams-burst", "http-paced", "http-busy"),
)
WIDTH: Final = 4.2  # inches, so that two fit beside each other
#: The colour of every subject whose name contains such a word: the first that is found.
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


def draw(results: Results, folder: Path) -> None:
    """Draw every plot whose table there is."""
    import matplotlib
    from scour import scour

    matplotlib.rcParams.update({"svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans"]})
    for key in PLOTS:
        if table := results.tables.get(key):
            matplotlib.rcParams["svg.hashsalt"] = key  # the same file from the same figures
            drawn = io.StringIO()
            _bars(table).savefig(drawn, format="svg", metadata={"Date": None})
            small = scour.scourString(drawn.getvalue(), scour.parse_args([*SMALL]))
            (folder / f"{key}.svg").write_text(small, "utf-8")


def _bars(table: Table) -> Any:
    """Return a figure with a bar for the median of each row, and a line for its rounds."""
    from matplotlib.figure import Figure

    rows = table.first()
    figure = Figure((WIDTH, 0.9 + 0.25 * len(rows)), layout="constrained")
    axes = figure.subplots()
    names = [f"{name}{MARK if row.limit else ''}" for name, row in rows.items()]
    medians = [row.median for row in rows.values()]
    below = [row.median - row.least for row in rows.values()]
    above = [row.most - row.median for row in rows.values()]
    colours = [next(c for word, c in COLOURS.items() if word in name) for name in rows]
    shape: dict[str, Any] = {"color": colours, "clip_on": False}
    if any(below) or any(above):
        line = {"elinewidth": 1, "ecolor": "#d55e00", "clip_on": False}
        shape |= {"xerr": [below, above], "error_kw": line}
    bars = axes.barh(names, medians, **shape)
    axes.bar_label(bars, list(map(digits, medians)), padding=4, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2 * max(row.most for row in rows.values()))
    axes.tick_params(labelsize=8, length=0)
    axes.set_xticks([])
    axes.patch.set_visible(False)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    title, unit, more = table.figure
    better = f"{title}, {unit} ({'more' if more else 'less'} is better)"
    figure.suptitle(textwrap.fill(table.title, 60), x=0.01, ha="left", fontsize=9)
    figure.supxlabel(better, x=0.99, ha="right", fontsize=8)
    return figure
