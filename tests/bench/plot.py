"""Plots: one SVG for each table, and for each growth."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .subjects import OURS, RUN
from .web import servers

if TYPE_CHECKING:
    from pathlib import Path

    from .growth import Growth
    from .table import Table

COLOURS = {OURS: "#1f77b4", RUN: "#6baed6", servers.RUN: "#6baed6"}
OTHERS = "#bdbdbd"


def pyplot(key: str) -> Any:
    # Draws the same file from the same figures.
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = key
    matplotlib.rcParams["svg.fonttype"] = "none"
    return importlib.import_module("matplotlib.pyplot")


def plot_growth(growth: Growth, machine: str, target: Path) -> None:
    """Draw how a figure grows: a line through the medians of each subject."""
    draw = pyplot(growth.key)
    amounts = list(growth.points)
    figure, axes = draw.subplots(figsize=(8, 4), layout="constrained")
    for name in growth.subjects:
        medians = [table.median(name) for table in growth.points.values()]
        axes.plot(amounts, medians, marker="o", label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(amounts, [f"{amount:,}" for amount in amounts])
    axes.minorticks_off()
    axes.set_ylabel(growth.figure, fontsize=9)
    axes.set_title(growth.title, loc="left", fontsize=11)
    axes.set_xlabel(f"{growth.axis}\n{machine}", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(target, metadata={"Date": None})
    draw.close(figure)


def bars(axes: Any, table: Table) -> None:
    """Draw the medians, with a line from the least to the greatest round."""
    names = list(table.rows)
    medians = [table.median(name) for name in names]
    below = [table.median(name) - min(table.rows[name]) for name in names]
    above = [max(table.rows[name]) - table.median(name) for name in names]
    axes.barh(
        names,
        medians,
        xerr=[below, above],
        color=[COLOURS.get(name, OTHERS) for name in names],
        error_kw={"elinewidth": 1, "ecolor": "#444444"},
    )
    axes.set_xlim(left=0)
    better = "more" if table.more_is_better else "less"
    axes.set_xlabel(f"{table.figure}, {table.unit} ({better} is better)", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def plot(table: Table, machine: str, target: Path) -> None:
    """Draw a table as bars."""
    draw = pyplot(table.key)
    figure, axes = draw.subplots(figsize=(8, 1.4 + 0.32 * len(table.rows)), layout="constrained")
    bars(axes, table)
    axes.invert_yaxis()
    axes.set_title(table.title, loc="left", fontsize=11)
    axes.set_xlabel(f"{axes.get_xlabel()}\n{machine}")
    figure.savefig(target, metadata={"Date": None})
    draw.close(figure)
