"""The functions of Windows, as Trio and this package call them by cffi, each with a wrapper.

Python's profilers do not see calls of a DLL, but they see calls of a wrapper.
``libraries.py TARGET SCRIPT ARGUMENTS`` profiles the main function of a subject by cProfile.
"""

from __future__ import annotations

import cProfile
import runpy
import sys
from collections.abc import Callable
from typing import Any, Final

import trio

#: The types of cffi's libraries, with declarations of its own and with generated ones.
TYPES: Final = {"FFILibrary", "Lib"}


class Library:
    """A library, with each of its functions wrapped."""

    def __init__(self, library: Any, wrap: Callable[[str, Any], Any]) -> None:
        self._library = library
        self._wrap = wrap

    def __getattr__(self, name: str) -> Any:
        function = self._wrap(name, getattr(self._library, name))
        setattr(self, name, function)
        return function


def wrap_all(wrap: Callable[[str, Any], Any]) -> None:
    """Wrap the functions of all libraries that Trio's modules and ours have."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in {"trio", "trio_wsarecv"}:
            for attribute, value in list(vars(module).items()):
                if type(value).__name__ in TYPES:
                    setattr(module, attribute, Library(value, wrap))


def visible(name: str, function: Any) -> Any:
    """Return a Python function of that name that calls the function."""

    def call(*arguments: Any) -> Any:
        return function(*arguments)

    call.__code__ = call.__code__.replace(co_name=name)
    return call


if __name__ == "__main__":
    target, *sys.argv = sys.argv[1:]
    main = runpy.run_path(sys.argv[0])["main"]
    wrap_all(visible)
    with cProfile.Profile() as profile:
        trio.run(main)
    profile.dump_stats(target)
