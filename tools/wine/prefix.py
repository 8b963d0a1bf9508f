"""The Wine prefix: the disk and the registry of a Windows that nothing else shares."""

from __future__ import annotations

import filecmp
import os
import subprocess
import sys
from pathlib import Path, PureWindowsPath

assert sys.platform != "win32"

from .system import PATH, check_call, say  # noqa: E402

SETTINGS = r"""REGEDIT4

; A process that crashes ends at once: no dialogue, no debugger.
[HKEY_CURRENT_USER\Software\Wine\WineDbg]
"ShowCrashDialog"=dword:00000000

[HKEY_LOCAL_MACHINE\Software\Microsoft\Windows NT\CurrentVersion\AeDebug]
"Debugger"="false"
"Auto"="1"
"""


def wine_environ(prefix: Path) -> dict[str, str]:
    """The environment variables of this process, and those that Wine reads."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WINE")}
    environ.pop("DISPLAY", None)
    environ.update(
        PATH=PATH,
        WINEPREFIX=str(prefix),
        WINEARCH="win64",
        WINEDEBUG="-all",
        WINEDLLOVERRIDES="mscoree,mshtml,winemenubuilder.exe=",  # no Mono, Gecko, desktop menus
        LC_ALL="C.UTF-8",  # for arguments and file names that are not ASCII
    )
    return environ


def windows_path(path: str | Path) -> str:
    """The name of a file in Wine, where drive Z: is the root folder."""
    return str(PureWindowsPath("Z:" + os.path.abspath(path)))


def create_prefix(prefix: Path, scratch: Path) -> None:
    """Fill the empty folder `prefix`, and end all processes that have it open."""
    say("creating the Wine prefix (about 15 s)")
    environ = wine_environ(prefix)
    settings = scratch / "settings.reg"
    settings.write_text(SETTINGS)
    try:
        check_call(["wineboot", "-i"], env=environ)
        check_call(["wine", "regedit", "/S", windows_path(settings)], env=environ)
        [builtins] = check_call(["wine", "cmd", "/c", "echo %WINEDLLDIR0%"], env=environ).split()
    finally:
        for option in ("-k", "-w"):  # kill it, and wait until it is gone
            subprocess.call(["wineserver", option], env=environ)
    link_builtins(prefix, Path(builtins.partition(":")[2].replace("\\", "/")))


def link_builtins(prefix: Path, folder: Path) -> None:
    """Replace copies of Wine's DLLs by links, so that the prefix takes 20 MB instead of 700.

    Wine must not update such a prefix, and is told so. Another version of Wine gets another prefix.
    """
    originals = {path.name: path for path in folder.glob("*-windows/*")}
    for path in (prefix / "drive_c" / "windows").rglob("*.*"):
        original = originals.get(path.name)
        if original and path.is_file() and filecmp.cmp(path, original, shallow=False):
            path.unlink()
            path.symlink_to(original)
    (prefix / ".update-timestamp").write_text("disable\n")
