"""Scripts that answer open questions about real Windows; and whether this is Windows or Wine."""

from __future__ import annotations

import platform
import re
import sys

_version = ""
if sys.platform == "win32":
    import ctypes

    if _get_version := getattr(ctypes.WinDLL("ntdll"), "wine_get_version", None):
        _get_version.restype = ctypes.c_char_p
        _version = _get_version().decode()

#: The version of Wine, for example ``(10, 0)``; empty if this is not Wine.
WINE: tuple[int, ...] = tuple(map(int, re.findall(r"\d+", _version)[:2]))

#: The name of this system.
SYSTEM = f"Wine {_version}" if _version else platform.platform()
