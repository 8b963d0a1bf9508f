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
def test_every_figure_of_a_page_is_evaluated_and_none_is_written_by_hand(
    page: Path, results: Results
) -> None:
    text = page.read_text("utf-8")
    for expression in ROLE.findall(text):
        assert evaluate(expression, results)
    others = ROLE.sub("", MARKED.sub("", text))
    assert set(LIKE_A_FIGURE.findall(others)) <= ELSEWHERE.get(page.name, set())


def made(**rows: list[tuple[float, float]]) -> Results:
    """Return results of two runs: of each subject the median and the ratio."""
    both = {name: [Row(m, m, m, ratio) for m, ratio in each] for name, each in rows.items()}
    result = Table("a-1", "work", Figure("time", "µs"), "base", both)
    return Results(["first", "second"], {"a-1": result})


MADE = made(
    base=[(100, 1), (100, 1)],
    ours=[(70, 0.7), (62, 0.62)],
    near=[(102, 1.02), (99, 0.99)],
    less=[(100, 1), (98, 0.98)],
)


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
    assert evaluate(expression, MADE) == figure
    marked = f"before <!-- measured: {expression} -->1\n2<!-- / --> after"
    assert rewrite(marked, MADE) == marked.replace("1\n2", figure)


@pytest.mark.parametrize("expression", ["a-2; ours", "a-1; others", "a-1; ours / others"])
def test_a_figure_that_was_not_measured_is_an_error(expression: str) -> None:
    with pytest.raises(LookupError):
        evaluate(expression, MADE)


def test_a_range_begins_with_the_smallest() -> None:
    assert evaluate("a-1; base; value", made(base=[(100, 1), (9, 1)])) == "9 to 100"
