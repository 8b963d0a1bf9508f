"""What the export table of a DLL looks like, as one version of binutils and another print it."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import compile as compile_module
from .compile import exported_names
from .speak import Problem

BINUTILS_2_40 = """\
Export Address Table -- Ordinal Base 1
\t[   0] +base[   1] 221a4c Export RVA
\t[1629] +base[1630] 24d120 Export RVA

[Ordinal/Name Pointer] Table
\t[   0] PyAIter_Check
\t[   1] PyArg_Parse
\t[1629] _Py_write_noraise

The Function Table (interpreted .pdata section contents)
"""
BINUTILS_2_44 = """\
Export Address Table -- Ordinal Base 1
\t          Ordinal  Address  Type
\t[   0] +base[   1] 00221a4c Export RVA
\t[1629] +base[1630] 0024d120 Export RVA

[Ordinal/Name Pointer] Table -- Ordinal Base 1
\t          Ordinal   Hint Name
\t[   0] +base[   1]  0000 PyAIter_Check
\t[   1] +base[   2]  0001 PyArg_Parse
\t[1629] +base[1630]  065d _Py_write_noraise

The Function Table (interpreted .pdata section contents)
"""


def read(listing: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(compile_module, "check_call", lambda command: listing)
    return exported_names(Path("python3.dll"))


@pytest.mark.parametrize("listing", [BINUTILS_2_40, BINUTILS_2_44], ids=["2.40", "2.44"])
def test_the_names_are_read(listing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = ["PyAIter_Check", "PyArg_Parse", "_Py_write_noraise"]
    assert read(listing, monkeypatch) == expected


@pytest.mark.parametrize("listing", ["", BINUTILS_2_44.replace("+base", "+")])
def test_a_dll_without_exports_is_a_problem(listing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Problem, match=r"python3\.dll seems to export nothing"):
        read(listing, monkeypatch)
