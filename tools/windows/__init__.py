"""Whether this is Microsoft's Windows or Wine, and which version."""

from __future__ import annotations

import platform
import re
import sys

if sys.platform == "win32":
    import ctypes

    def _wine_version() -> str:
        get_version = getattr(ctypes.WinDLL("ntdll"), "wine_get_version", None)
        if get_version is None:
            return ""
        get_version.restype = ctypes.c_char_p
        return str(get_version().decode())

else:

    def _wine_version() -> str:
        return ""


_version = _wine_version()

#: The version of Wine, for example ``(10, 0)``; empty if this is not Wine.
WINE: tuple[int, ...] = tuple(map(int, re.findall(r"\d+", _version)[:2]))

#: The name of this system.
SYSTEM = f"Wine {_version}" if _version else platform.platform()
