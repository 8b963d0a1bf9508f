"""Having the processes that `multiprocessing` starts receive overlapped, too.

A server may do its work in such processes; Hypercorn does, unless told otherwise.  On Windows each
is a new interpreter, which does not have what was changed in the one that started it.  The first
thing that it does is to unpickle what that one says of itself, and so it can be told.
"""

from __future__ import annotations

import sys
from multiprocessing import spawn
from typing import TYPE_CHECKING, Any

from ._install import patch_trio

if TYPE_CHECKING:
    from collections.abc import Callable

_describe_process = spawn.get_preparation_data


def patch_trio_and_workers() -> None:
    """Call `patch_trio` here and in all processes that `multiprocessing` starts from here on."""
    patch_trio()
    if sys.platform == "win32":
        spawn.get_preparation_data = _describe_patched_process


class _Patch:
    """Unpickling it is a call of `patch_trio_and_workers`."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return patch_trio_and_workers, ()


def _describe_patched_process(name: str) -> dict[str, Any]:
    return {**_describe_process(name), "trio_wsarecv": _Patch()}
