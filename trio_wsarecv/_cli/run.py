"""Running an unmodified Trio program with its receives overlapped.

`runpy` does what ``python -m MODULE`` does.  For ``python SCRIPT`` it is not enough, since it puts
the same name into ``sys.argv`` and ``__file__``.

A server may work in processes that `multiprocessing` starts, as Hypercorn does by default.  On
Windows each is a new interpreter, in which nothing is patched.  The first thing that it does is to
unpickle a description of the process that started it, and that description carries the patch.

The traceback of a program that fails begins where the program does.
"""

from __future__ import annotations

import atexit
import builtins
import io
import os
import runpy
import sys
from contextlib import contextmanager
from functools import partial
from importlib.machinery import PathFinder, SourceFileLoader
from multiprocessing import spawn
from textwrap import dedent
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from .._install import patch_trio, why_off
from .._statistics import statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import TracebackType
    from typing import NoReturn


_describe_process = spawn.get_preparation_data


def patch_trio_and_workers(verbose: bool = False) -> None:
    """Call `patch_trio` here and in all processes that `multiprocessing` starts from now on.

    Args:
      verbose: whether each of them reports at its end how much was received.
    """
    patch_trio()
    if not why_off():
        spawn.get_preparation_data = partial(_describe_patched_process, verbose)
    if verbose:
        atexit.register(_report)


class _Patch:
    """Calls `patch_trio_and_workers` when it is unpickled."""

    def __init__(self, verbose: bool) -> None:
        self._verbose = verbose

    def __reduce__(self) -> tuple[Callable[[bool], None], tuple[bool]]:
        return patch_trio_and_workers, (self._verbose,)


def _describe_patched_process(verbose: bool, name: str) -> dict[str, Any]:
    atexit.unregister(_warn)  # the sockets may be made in that process
    return {**_describe_process(name), "trio_wsarecv": _Patch(verbose)}


def _report() -> None:
    count = statistics()
    overlapped = count.immediate + count.pended - count.readiness
    off, on = why_off(), f"{overlapped} receives overlapped, {count.readiness} by readiness"
    text = f"off: {off}" if off else on
    print(f"trio_wsarecv: process {os.getpid()}: {text}", file=sys.stderr)


def _warn(sockets: int) -> None:
    if statistics().sockets == sockets:
        text = "the program made no Trio socket; does it run on asyncio?"
        print(f"trio_wsarecv: {text}", file=sys.stderr)


@contextmanager
def _program(verbose: bool) -> Iterator[None]:
    # Runs a block, which is a program, with Trio patched; a traceback begins where the block does.
    patch_trio_and_workers(verbose)
    if not (verbose or why_off()):
        atexit.register(_warn, statistics().sockets)
    try:
        yield
    except BaseException as exc:
        if exc.code if isinstance(exc, SystemExit) else isinstance(exc, Exception):
            atexit.unregister(_warn)  # the program reports why it failed
        hook, own = sys.excepthook, _own_part(exc.__traceback__)
        sys.excepthook = lambda kind, error, _: hook(kind, error.with_traceback(own), own)
        raise


def _own_part(traceback: TracebackType | None) -> TracebackType | None:
    while traceback and traceback.tb_frame.f_globals["__name__"] in {__name__, "runpy"}:
        traceback = traceback.tb_next
    return traceback


def run_script(path: str, arguments: Sequence[str], *, verbose: bool) -> None:
    """Run a script as ``python path arguments…`` would, with Trio patched.

    Args:
      path: a file, or a folder or archive that has a ``__main__`` module.
      arguments: what the script finds in ``sys.argv`` after its own name.
      verbose: as for `patch_trio_and_workers`.
    """
    with _program(verbose):
        location = os.path.abspath(path)
        spec = PathFinder.find_spec("__main__", [location])
        code, filename = _load_main(spec) if spec else _compile_file(location)
        if not _path_is_safe():
            sys.path[0] = location if spec else os.path.dirname(os.path.realpath(location))
        elif spec:
            sys.path.insert(0, location)
        module = ModuleType("__main__")
        module.__file__ = filename
        module.__spec__ = spec
        module.__loader__ = spec.loader if spec else SourceFileLoader("__main__", location)
        module.__package__ = "" if spec else None
        _execute(code, module, [path, *arguments])


def run_code(source: str, arguments: Sequence[str], *, verbose: bool) -> None:
    """Run code as ``python -c source arguments…`` would, with Trio patched.

    Args:
      source: the code, which may be indented as a whole.
      arguments: what the code finds in ``sys.argv`` after ``-c``.
      verbose: as for `patch_trio_and_workers`.
    """
    _run_source(dedent(source), ModuleType("__main__"), "<string>", ["-c", *arguments], verbose)


def run_standard_input(arguments: Sequence[str], *, verbose: bool) -> None:
    """Run what the standard input has as ``python - arguments…`` would, with Trio patched.

    Args:
      arguments: what the program finds in ``sys.argv`` after ``-``.
      verbose: as for `patch_trio_and_workers`.
    """
    module = ModuleType("__main__")
    module.__file__ = "<stdin>"
    source = sys.stdin.buffer.read()
    _run_source(source, module, "<stdin>", ["-", *arguments], verbose)


def _run_source(
    source: str | bytes, module: ModuleType, filename: str, argv: list[str], verbose: bool
) -> None:
    with _program(verbose):
        code = compile(source, filename, "exec", dont_inherit=True)
        if not _path_is_safe():
            sys.path[0] = ""
        _execute(code, module, argv)


def _execute(code: CodeType, module: ModuleType, argv: list[str]) -> None:
    sys.argv[:] = argv
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    exec(code, module.__dict__)


def _path_is_safe() -> bool:
    # Whether Python was told to put no folder before all others.
    return getattr(sys.flags, "safe_path", False) or bool(sys.flags.isolated)


def run_module(name: str, arguments: Sequence[str], *, verbose: bool) -> None:
    """Run a module as ``python -m name arguments…`` would, with Trio patched.

    Args:
      name: the name of a module or package that can be imported.
      arguments: what the module finds in ``sys.argv`` after its own name.
      verbose: as for `patch_trio_and_workers`.
    """
    with _program(verbose):
        sys.argv[:] = [name, *arguments]
        try:
            runpy.run_module(name, {"__builtins__": builtins}, "__main__", alter_sys=True)
        except ImportError as exc:
            if _own_part(exc.__traceback__):
                raise
            _fail(1, str(exc))  # there is no such module


def _load_main(spec: ModuleSpec) -> tuple[CodeType, str]:
    code = spec.loader.get_code("__main__")  # type: ignore[union-attr]
    return code, spec.origin or ""


def _compile_file(location: str) -> tuple[CodeType, str]:
    try:
        with io.open_code(location) as file:
            source = file.read()
    except OSError as exc:
        _fail(2, f"can't open file {location!r}: [Errno {exc.errno}] {exc.strerror}")
    return compile(source, location, "exec", dont_inherit=True), location


def _fail(status: int, reason: str) -> NoReturn:
    # As Python does it.
    print(f"{sys.executable}: {reason}", file=sys.stderr)
    sys.exit(status)
