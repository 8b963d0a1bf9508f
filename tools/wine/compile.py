"""Three small binaries that no registry has, built with the mingw cross compiler."""

from __future__ import annotations

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
    check_call([TOOL + "dlltool", "-d", definition, "-l", library], cwd=scratch)  # it leaves files
    source = HERE / "python.c"
    check_call([TOOL + "gcc", "-O2", "-municode", source, library, "-o", root / "python.exe"])

    # Rust's standard library wants a DLL that Wine 8.0 does not have.
    source = HERE / "bcryptprimitives.c"
    check_call([TOOL + "gcc", *DLL, source, "-ladvapi32", "-o", root / "bcryptprimitives.dll"])

    # Wheels for the stable ABI link to python3.dll, which forwards every name to the real DLL.
    forwards = [f"{name}={python}.{name}\n" for name in exported_names(root / f"{python}.dll")]
    definition.write_text("EXPORTS\n" + "".join(forwards))
    source = scratch / "python3.c"
    source.write_text("int DllMain(void *module, int reason, void *reserved) { return 1; }\n")
    check_call([TOOL + "gcc", *DLL, source, definition, "-o", root / "python3.dll"])


def exported_names(dll: Path) -> list[str]:
    """Return the names that a 64-bit DLL exports, from the tables of its PE header."""
    data = dll.read_bytes()

    def number(place: int, size: int = 4) -> int:
        return int.from_bytes(data[place : place + size], "little")

    header = number(0x3C)
    sections = header + 24 + number(header + 20, 2)

    def place_of(address: int) -> int:
        for section in range(sections, sections + 40 * number(header + 6, 2), 40):
            size, start, _, place = (number(section + field) for field in (8, 12, 16, 20))
            if start <= address < start + size:
                return place + address - start
        raise Problem(f"{dll.name} has no section for the address {address:#x}")

    table = place_of(number(header + 24 + 112))
    names = place_of(number(table + 32))
    places = (place_of(number(names + 4 * each)) for each in range(number(table + 24)))
    return [data[place : data.index(0, place)].decode() for place in places]
