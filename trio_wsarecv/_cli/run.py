"""Running an unmodified Trio program with its receives overlapped.

What ``python SCRIPT`` does cannot be had from `runpy`, which names the program in ``sys.argv`` as
it names its file.  What ``python -m MODULE`` does can.

A server may do its work in processes that `multiprocessing` starts; Hypercorn does, unless told
otherwise.  On Windows each is a new interpreter, which does not have what was changed in the one
that started it.  The first thing that it does is to unpickle what that one says of itself, and so
it can be told.
"""

from __future__ import annotations

import builtins
import io
import os
import runpy
import sys
from importlib.machinery import PathFinder
from multiprocessing import spawn
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from .._install import patch_trio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec


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


def run_script(path: str, arguments: Sequence[str]) -> None:
    """Run a script as ``python path arguments…`` would, with Trio patched.

    Args:
      path: a file, or a folder or archive that has a ``__main__`` module.
      arguments: what the script finds in ``sys.argv`` after its own name.
    """
    patch_trio_and_workers()
    location = os.path.abspath(path)
    spec = PathFinder.find_spec("__main__", [location])
    code, filename = _load_main(spec) if spec else _compile_file(location)
    sys.argv[:] = [path, *arguments]
    sys.path[0] = location if spec else os.path.dirname(os.path.realpath(location))
    module = ModuleType("__main__")
    module.__file__ = filename
    module.__spec__ = spec
    module.__package__ = "" if spec else None
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    exec(code, module.__dict__)


def run_module(name: str, arguments: Sequence[str]) -> None:
    """Run a module as ``python -m name arguments…`` would, with Trio patched.

    Args:
      name: the name of a module or package that can be imported.
      arguments: what the module finds in ``sys.argv`` after its own name.
    """
    patch_trio_and_workers()
    sys.argv[:] = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _load_main(spec: ModuleSpec) -> tuple[CodeType, str]:
    code = spec.loader.get_code("__main__")  # type: ignore[union-attr]
    return code, spec.origin or ""


def _compile_file(location: str) -> tuple[CodeType, str]:
    try:
        with io.open_code(location) as file:
            source = file.read()
    except OSError as exc:
        print(f"{sys.executable}: can't open file {location!r}: {exc}", file=sys.stderr)
        sys.exit(2)
    return compile(source, location, "exec", dont_inherit=True), location
