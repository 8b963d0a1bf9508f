"""The figures in README and the documentation are those of the measurements."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.figures import MARKED, README, evaluate, rewrite
from benchmarks.plots import PLOTS
from benchmarks.results import OUTPUT, RESULTS, Figure, Results, Row, Table, digits, read

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [README, *sorted(DOCS.glob("*.rst"))]
ROLE = re.compile(r":measured:`(.*?)`", re.DOTALL)
# What looks like the figure of a measurement.
LIKE_A_FIGURE = re.compile(r"\d[\d.,]* *(?:times\b|×|%|µs)|\d+\.\d+ to \d")
# But is not one: versions of Trio, and a load.
ELSEWHERE = {"howitworks.rst": {"0.30 to 0"}, "performance.rst": {"10 times"}}


@pytest.fixture(scope="module")
def results() -> Results:
    return read(OUTPUT)


def test_the_figures_of_readme_agree_with_the_results(results: Results) -> None:
    text = README.read_text("utf-8")
    assert rewrite(text, results) == text, "run: python -m benchmarks --replot"


def test_the_file_of_results_is_read_as_it_was_written(results: Results, tmp_path: Path) -> None:
    results.write(tmp_path)
    assert (tmp_path / RESULTS).read_text("utf-8") == (OUTPUT / RESULTS).read_text("utf-8")


def test_every_plot_is_one_that_the_program_draws_and_is_shown_on_a_page() -> None:
    names = {path.stem for path in OUTPUT.glob("*.svg")}
    assert names == set(PLOTS)
    text = "".join(page.read_text("utf-8") for page in PAGES)
    assert set(re.findall(r"benchmarks/([\w-]+)\.svg", text)) == names


@pytest.mark.parametrize("key", PLOTS)
def test_a_plot_is_drawn_from_the_results(key: str, results: Results) -> None:
    texts = re.findall(r">([^<>]+)</text>", (OUTPUT / f"{key}.svg").read_text("utf-8"))
    rows = results.tables[key].first()
    limited = {f"{name}*" if row.limit else name for name, row in rows.items()}
    assert {*limited, *(digits(row.median) for row in rows.values())} <= set(texts)


def test_results_and_plots_are_small() -> None:
    assert sum(path.stat().st_size for path in OUTPUT.iterdir()) < 100_000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_figure_of_a_page_can_be_evaluated(page: Path, results: Results) -> None:
    for expression in ROLE.findall(page.read_text("utf-8")):
        assert evaluate(expression, results)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_figure_is_written_by_hand(page: Path) -> None:
    text = ROLE.sub("", MARKED.sub("", page.read_text("utf-8")))
    assert set(LIKE_A_FIGURE.findall(text)) <= ELSEWHERE.get(page.name, set())


def table(**rows: list[Row]) -> Results:
    result = Table("a-1", "work", Figure("time", "µs"), "base", rows)
    return Results(["first", "second"], {"a-1": result})


def row(median: float, ratio: float | None = None) -> Row:
    return Row(median, median, median, ratio)


BASE = [row(100, 1), row(100, 1)]
OURS = [row(70, 0.7), row(62, 0.62)]
NEAR = [row(102, 1.02), row(99, 0.99)]
LESS = [row(100, 1), row(98, 0.98)]


@pytest.mark.parametrize(
    ("expression", "figure"),
    [
        ("a-*; ours", "0.62 to 0.70"),
        ("a-1; base / ours", "1.43 to 1.61"),
        ("b, a-?; ours; change", "30 to 38 % less"),
        ("a-1; base / ours; change", "43 to 61 % more"),
        ("a-1; base; change", "0 % more"),
        ("a-1; near; change", "1 % less to 2 % more"),
        ("a-1; less; change", "0 to 2 % less"),
        ("a-1; ours; value", "62 to 70"),
        ("a-1; base; value", "100"),
        ("a-1; base + ours; share", "162 to 170 %"),
        ("ratios", "3"),
        ("drifted", "1"),
        ("drift", "13 %"),
    ],
)
def test_a_figure_is_the_range_over_all_runs(expression: str, figure: str) -> None:
    results = table(base=list(BASE), ours=list(OURS), near=NEAR, less=LESS)
    assert evaluate(expression, results) == figure
    marked = f"before <!-- measured: {expression} -->1\n2<!-- / --> after"
    assert rewrite(marked, results) == marked.replace("1\n2", figure)


@pytest.mark.parametrize("expression", ["a-2; ours", "a-1; others", "a-1; ours / others"])
def test_a_figure_that_was_not_measured_is_an_error(expression: str) -> None:
    with pytest.raises(LookupError):
        evaluate(expression, table(base=list(BASE), ours=list(OURS)))


def test_a_range_begins_with_the_smallest() -> None:
    results = table(base=[row(100, 1), row(9, 1)])
    assert evaluate("a-1; base; value", results) == "9 to 100"
