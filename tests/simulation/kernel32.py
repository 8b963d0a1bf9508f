"""``kernel32.dll``: cancelling, and skip mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER, ERROR_NOT_FOUND
from .kernel import Event, Kernel
from .memory import address_of

FILE_SKIP_COMPLETION_PORT_ON_SUCCESS = 1


class Kernel32:
    """The functions of ``kernel32.dll``.

    Attributes:
      on_call: called at the beginning of every cancellation.
      last_error: the code of the last call that failed.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.last_error = 0
        self.on_call: Callable[[], None] = lambda: None

    def CancelIoEx(self, hFile: int, lpOverlapped: Any, /) -> int:
        self.on_call()
        return self.cancel(hFile, address_of(lpOverlapped))

    def cancel(self, handle: int, address: int) -> int:
        self._kernel.log.append(Event("cancel", handle, address))
        endpoint = self._kernel.endpoint(handle)
        if endpoint is None:
            self._kernel.complain("a closed handle was given to CancelIoEx")
            self.last_error = ERROR_INVALID_HANDLE
            return 0
        if endpoint.cancel(address):
            return 1
        self.last_error = ERROR_NOT_FOUND
        return 0

    def SetFileCompletionNotificationModes(self, FileHandle: int, Flags: int, /) -> int:
        self._kernel.log.append(Event("set modes", FileHandle))
        endpoint = self._kernel.endpoint(FileHandle)
        if endpoint is None:
            self.last_error = ERROR_INVALID_HANDLE
            return 0
        if not self._kernel.choices.skip_mode:
            self.last_error = ERROR_INVALID_PARAMETER
            return 0
        if Flags & FILE_SKIP_COMPLETION_PORT_ON_SUCCESS:
            if self._kernel.strict and not endpoint.is_associated:
                self._kernel.complain("skip mode was set for a socket without a port")
            if endpoint.chain_length != 1 or not endpoint.ifs_handles:
                self._kernel.complain("skip mode was set although a layer may queue packets")
            endpoint.skips_on_success = True  # which cannot be unset
        return 1
