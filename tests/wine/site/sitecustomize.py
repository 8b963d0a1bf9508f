"""Only in the Windows CPython under Wine: lets `trio.run` start there.

Trio asks each socket for its SIO_BSP_HANDLE_SELECT, which Wine 8.0 refuses (error 10045). It grants SIO_BASE_HANDLE,
and Wine has no layered providers, so both are the same handle. Trio is patched when it is imported, not before:
Python starts much faster without it.
"""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

NAME = "trio._core._io_windows"


def patch(module: Any) -> None:
    original = module._get_underlying_socket

    def get_underlying_socket(sock: Any, *, which: Any = module.WSAIoctls.SIO_BASE_HANDLE) -> Any:
        if which == module.WSAIoctls.SIO_BSP_HANDLE_SELECT:
            which = module.WSAIoctls.SIO_BASE_HANDLE
        return original(sock, which=which)

    module._get_underlying_socket = get_underlying_socket


class Finder:
    """Finds one module, as the other finders would, and patches it when it has run."""

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != NAME:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                patch(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, Finder())
