"""The native boundary: ``ws2_32.dll`` and ``kernel32.dll``, typed.

This is the only module that imports the generated declarations.  The libraries are loaded on
Windows alone; the declarations, and so the layout of every structure, are there on every system.

A function of Winsock that fails returns ``SOCKET_ERROR`` and leaves its code for
``WSAGetLastError``.  Nothing here waits or decides.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol, cast

from .codes import name_of
from .generated import ffi as _generated
from .status import os_error

ffi: Any = _generated
NULL: object = ffi.NULL


class Overlapped(Protocol):
    """``OVERLAPPED *``: where the kernel writes how an operation ended."""

    Internal: int
    InternalHigh: int


class Ws2(Protocol):
    """The functions of ``ws2_32.dll`` in use, with Winsock's names for their arguments."""

    # fmt: off
    def WSARecv(
        self, s: int, lpBuffers: object, dwBufferCount: int, lpNumberOfBytesRecvd: object,
        lpFlags: object, lpOverlapped: object, lpCompletionRoutine: object, /,
    ) -> int: ...

    def WSARecvFrom(
        self, s: int, lpBuffers: object, dwBufferCount: int, lpNumberOfBytesRecvd: object,
        lpFlags: object, lpFrom: object, lpFromlen: object, lpOverlapped: object,
        lpCompletionRoutine: object, /,
    ) -> int: ...

    def WSASend(
        self, s: int, lpBuffers: object, dwBufferCount: int, lpNumberOfBytesSent: object,
        dwFlags: int, lpOverlapped: object, lpCompletionRoutine: object, /,
    ) -> int: ...

    def WSASendTo(
        self, s: int, lpBuffers: object, dwBufferCount: int, lpNumberOfBytesSent: object,
        dwFlags: int, lpTo: object, iTolen: int, lpOverlapped: object,
        lpCompletionRoutine: object, /,
    ) -> int: ...

    def WSAIoctl(
        self, s: int, dwIoControlCode: int, lpvInBuffer: object, cbInBuffer: int,
        lpvOutBuffer: object, cbOutBuffer: int, lpcbBytesReturned: object, lpOverlapped: object,
        lpCompletionRoutine: object, /,
    ) -> int: ...
    # fmt: on

    def WSAGetLastError(self) -> int: ...


class Kernel32(Protocol):
    """The functions of ``kernel32.dll`` in use."""

    def CancelIoEx(self, hFile: int, lpOverlapped: Overlapped, /) -> int: ...

    def SetFileCompletionNotificationModes(self, FileHandle: int, Flags: int, /) -> int: ...


if sys.platform == "win32":
    ws2_32 = cast("Ws2", ffi.dlopen("ws2_32.dll"))
    kernel32 = cast("Kernel32", ffi.dlopen("kernel32.dll"))
else:
    ws2_32: Ws2
    kernel32: Kernel32


def address_of(pointer: object) -> int:
    """Return the address that a pointer holds."""
    return int(ffi.cast("uintptr_t", pointer))


def text_of(code: int) -> str:
    """Return the system's text for a Winsock error code, or the code's name if it has none."""
    if sys.platform == "win32":
        _, text = ffi.getwinerror(code)
        # That is what cffi returns if the system has no text.
        if not text.startswith("Windows Error 0x"):
            return str(text)
    return name_of(code)


def winsock_error(code: int) -> OSError:
    """Return the exception that Python's own ``recv`` raises for a Winsock error code."""
    return os_error(code, text_of(code))
