"""The exceptions that Python and Trio raise for Windows error codes, on every system."""

from __future__ import annotations

import errno
import sys

from trio_wsarecv import WinsockError

ERROR_INVALID_HANDLE = 6
ERROR_INVALID_PARAMETER = 87
ERROR_NOT_FOUND = 1168


def windows_error(code: int) -> OSError:
    text = f"[simulated] {code}"
    if sys.platform == "win32":
        return OSError(0, text, None, code)
    try:
        number = getattr(errno, WinsockError(code).name.removeprefix("WSA"))
    except ValueError:
        number = errno.EINVAL
    error = OSError(number, text)
    error.winerror = code  # type: ignore[attr-defined,unused-ignore]
    return error
