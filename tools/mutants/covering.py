"""Which tests run a line of the package: those that are to be tried first on a mutant of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from coverage import Coverage, CoverageData

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DATA: Final = "covering"

#: How many tests, and how many of them from one function with different parameters.
MOST: Final = 60
MOST_OF_ONE: Final = 3


def measure(copy: Path, run: Callable[[], int]) -> int:
    """Run tests, note which lines of the copy's package each of them runs, and return the status.

    The plugin says which test is running.
    """
    coverage = Coverage(
        data_file=str(copy / DATA), include=[f"{copy}/trio_wsarecv/*"], config_file=False
    )
    with coverage.collect():
        status = run()
    coverage.save()
    return status


class Covering:
    """What was measured."""

    def __init__(self, copy: Path) -> None:
        self._package = copy / "trio_wsarecv"
        self._data = CoverageData(basename=str(copy / DATA))
        self._data.read()
        self._sizes: Counter[str] = Counter()
        for file in self._data.measured_files():
            for tests in self._data.contexts_by_lineno(file).values():
                self._sizes.update(tests)

    def tests(self, module: str, line: int) -> list[str]:
        """Return tests that run a line, those first that run the fewest lines in all."""
        tests = self._data.contexts_by_lineno(str(self._package / module)).get(line, [])
        chosen = []
        functions: defaultdict[str, int] = defaultdict(int)
        for test in sorted(filter(None, tests), key=lambda test: (self._sizes[test], test)):
            function = test.partition("[")[0]
            functions[function] += 1
            if functions[function] <= MOST_OF_ONE:
                chosen.append(test)
        return chosen[:MOST]
