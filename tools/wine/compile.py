"""The three small binaries that no registry has, built with the mingw cross compiler."""

from __future__ import annotations

import re
from pathlib import Path

from .speak import Problem, check_call

HERE = Path(__file__).resolve().parent
TOOL = "x86_64-w64-mingw32-"
DLL = ["-O2", "-shared", "-nostdlib", "-Wl,-e,DllMain"]


def compile_binaries(root: Path, scratch: Path, python: str) -> None:
    """Build `python.exe` and its helpers in the folder `root`, where the DLL `python` lies."""
    definition = scratch / "python.def"
    definition.write_text(f"LIBRARY {python}.dll\nEXPORTS\nPy_Main\n")
    library = scratch / "libpython.a"
    check_call([TOOL + "dlltool", "-d", definition, "-l", library], cwd=scratch)  # it litters
    source = HERE / "python.c"
    check_call([TOOL + "gcc", "-O2", "-municode", source, library, "-o", root / "python.exe"])

    # Rust's standard library wants a DLL that Wine 8.0 does not have.
    source = HERE / "bcryptprimitives.c"
    check_call([TOOL + "gcc", *DLL, source, "-ladvapi32", "-o", root / "bcryptprimitives.dll"])

    # Wheels for the stable ABI link to python3.dll: every name in it is forwarded to the real one.
    forwards = [f"{name}={python}.{name}\n" for name in exported_names(root / f"{python}.dll")]
    definition.write_text("EXPORTS\n" + "".join(forwards))
    source = scratch / "python3.c"
    source.write_text("int DllMain(void *module, int reason, void *reserved) { return 1; }\n")
    check_call([TOOL + "gcc", *DLL, source, definition, "-o", root / "python3.dll"])


def exported_names(dll: Path) -> list[str]:
    """Return the names that a DLL exports.

    :raises Problem: none can be read out of what objdump prints.
    """
    names = names_in(check_call([TOOL + "objdump", "-p", dll]))
    if not names:  # built to forward nothing, python3.dll fails much later
        raise Problem(f"{dll.name} seems to export nothing: objdump prints a table of another form")
    return names


def names_in(listing: str) -> list[str]:
    """Read the names in the export table that ``objdump -p`` prints.

    A line of it is ``[   0] NAME`` in binutils 2.40, ``[   0] +base[   1]  0000 NAME`` in 2.44.
    """
    table = listing.partition("[Ordinal/Name Pointer] Table")[2]
    return re.findall(r"^\s+\[ *\d+\](?: \+base\[ *\d+\] +[0-9a-f]+)? (\w+)$", table, re.MULTILINE)
