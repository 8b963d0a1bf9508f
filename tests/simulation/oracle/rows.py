"""Which of the behaviours of native Windows a test is about.

There are 82 of them, numbered; tests of Wine that run on real Windows, libuv, Go, .NET, CPython and
Trio assert or report them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    Test = TypeVar("Test", bound=Callable[..., object])

ALL: Final = frozenset({"15a", "15b", *map(str, range(1, 82))} - {"15"})

#: What no test is about, and why.
WITHOUT_TEST: Final = {
    "77": "how FD_CLOSE reports a reset: WSAEventSelect, which neither Trio nor this package uses",
}

#: By its number, the tests of each behaviour, and who says that Windows does so.
TESTS: Final[dict[str, list[tuple[str, str]]]] = {}


def native(number: str, source: str) -> Callable[[Test], Test]:
    """Say which behaviour a test is about, and who asserts or reports it."""

    def mark(test: Test) -> Test:
        TESTS.setdefault(number, []).append((f"{test.__module__}.{test.__name__}", source))
        return test

    return mark
