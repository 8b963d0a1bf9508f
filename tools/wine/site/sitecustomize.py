"""Replaces what the Windows CPython under Wine lacks; no other Python has this file.

Every start of the interpreter runs it, so it imports only what is imported already.
"""

import os
import sys
from importlib.machinery import PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


class TrioFinder:
    """Patches Trio when it is imported, so that `trio.run` starts.

    Trio asks each socket for its SIO_BSP_HANDLE_SELECT, which Wine, up to 10.0, refuses with 10045.
    Wine has SIO_BASE_HANDLE, the same handle where no layered service providers are installed.
    """

    NAME = "trio._core._io_windows"

    def find_spec(
        self, name: str, path: "Sequence[str] | None", target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        if name != self.NAME:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_patch(module: "ModuleType") -> None:
                execute(module)
                self.patch(module)

            spec.loader.exec_module = execute_and_patch  # type: ignore[method-assign]
        return spec

    def patch(self, module: "Any") -> None:
        original = module._get_underlying_socket
        codes = module.WSAIoctls

        def get_underlying_socket(sock: "Any", *, which: "Any" = codes.SIO_BASE_HANDLE) -> "Any":
            if which == codes.SIO_BSP_HANDLE_SELECT:
                which = codes.SIO_BASE_HANDLE
            return original(sock, which=which)

        module._get_underlying_socket = get_underlying_socket


def pose_as_terminal(name: str) -> None:
    """Have a standard stream behave as the terminal at the other end of the pipe."""
    stream: Any = getattr(sys, name)
    stream.isatty = lambda: True
    stream.reconfigure(line_buffering=True)


sys.meta_path.insert(0, TrioFinder())
for name in os.environ.pop("WINPYTHON_TERMINALS", "").split():
    pose_as_terminal(name)
