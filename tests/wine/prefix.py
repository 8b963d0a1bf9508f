"""The Wine prefix: the disk, the registry and the wineserver of our Windows, shared with no other."""

import os
from pathlib import Path

from .problem import check_call, say

SETTINGS = """\
REGEDIT4

; A crashing process ends at once: no dialogue, no debugger.
[HKEY_CURRENT_USER\\Software\\Wine\\WineDbg]
"ShowCrashDialog"=dword:00000000
[HKEY_LOCAL_MACHINE\\Software\\Microsoft\\Windows NT\\CurrentVersion\\AeDebug]
"Debugger"="false"
"Auto"="1"
"""


def wine_environ(prefix: Path) -> dict[str, str]:
    """This process's environment variables, and those that Wine reads."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WINE")}
    environ.pop("DISPLAY", None)
    environ.update(
        WINEPREFIX=str(prefix),
        WINEARCH="win64",
        WINEDEBUG="-all",
        WINEDLLOVERRIDES="mscoree,mshtml,winemenubuilder.exe=",  # no Mono, no Gecko, no desktop menus
        LC_ALL="C.UTF-8",  # else Wine loses what is not ASCII in arguments and file names
    )
    return environ


def create_prefix(prefix: Path, scratch: Path) -> None:
    say("creating the Wine prefix (about 15 s)")
    environ = wine_environ(prefix)
    try:
        check_call(["wineboot", "-i"], env=environ)
        settings = scratch / "settings.reg"
        settings.write_text(SETTINGS)
        check_call(["wine", "regedit", "/S", settings], env=environ)
        check_call(["wineserver", "-k", "15"], env=environ)
    finally:
        check_call(["wineserver", "-w"], env=environ)
