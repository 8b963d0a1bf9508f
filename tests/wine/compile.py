"""The three small binaries that no registry has, built with the mingw cross compiler."""

import re
from pathlib import Path

from .problem import check_call

HERE = Path(__file__).resolve().parent
PREFIX = "x86_64-w64-mingw32-"
DLL_OPTIONS = ["-shared", "-nostdlib", "-Wl,-e,DllMain"]


def compile_all(root: Path, library: str) -> None:
    """Build `python.exe` and its helpers beside `library`.dll in the folder `root`."""
    scratch = root / "build"
    scratch.mkdir()

    definition = scratch / "python.def"
    definition.write_text(f"LIBRARY {library}.dll\nEXPORTS\nPy_Main\n")
    import_library = scratch / "libpython.a"
    check_call([PREFIX + "dlltool", "-d", definition, "-l", import_library])
    check_call([PREFIX + "gcc", "-municode", "-O2", HERE / "python.c", import_library, "-o", root / "python.exe"])

    # Rust's standard library wants a DLL that Wine 8.0 does not have.
    check_call(
        [PREFIX + "gcc", *DLL_OPTIONS, HERE / "bcryptprimitives.c", "-ladvapi32", "-o", root / "bcryptprimitives.dll"]
    )

    # Wheels for the stable ABI link to python3.dll, which forwards every name to python3X.dll.
    forwarder = scratch / "python3.def"
    names = exported_names(root / f"{library}.dll")
    forwarder.write_text("EXPORTS\n" + "".join(f"{name}={library}.{name}\n" for name in names))
    stub = scratch / "python3.c"
    stub.write_text("int __stdcall DllMain(void *module, unsigned reason, void *reserved) { return 1; }\n")
    check_call([PREFIX + "gcc", *DLL_OPTIONS, stub, forwarder, "-o", root / "python3.dll"])

    for file in scratch.iterdir():
        file.unlink()
    scratch.rmdir()


def exported_names(dll: Path) -> list[str]:
    listing = check_call([PREFIX + "objdump", "-p", dll])
    table = listing.partition("[Ordinal/Name Pointer] Table")[2]
    return re.findall(r"^\s+\[ *\d+\] (\w+)$", table, re.MULTILINE)
