"""The structures and constants are those of Windows, wherever the package is imported.

The layouts depend on the size of a pointer: both are written down, and one is compared.
"""

from __future__ import annotations

import enum
import errno
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from trio_wsarecv import MsgFlag, WinsockError
from trio_wsarecv._winsock.calls import ffi

POINTER = ffi.sizeof("void *")

# By name: the fields; for pointers of 4 bytes and of 8: the size, and the offset of each field.
LAYOUTS = {
    "OVERLAPPED": (
        "Internal InternalHigh Offset OffsetHigh hEvent",
        {4: (20, [0, 4, 8, 12, 16]), 8: (32, [0, 8, 16, 20, 24])},
    ),
    "WSABUF": ("len buf", {4: (8, [0, 4]), 8: (16, [0, 8])}),
    "WSAMSG": (
        "name namelen lpBuffers dwBufferCount Control dwFlags",
        {4: (28, [0, 4, 8, 12, 16, 24]), 8: (56, [0, 8, 16, 24, 32, 48])},
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_structure_has_the_layout_of_windows(name: str) -> None:
    names, layouts = LAYOUTS[name]
    fields = ffi.typeof(name).fields
    assert [field for field, _ in fields] == names.split()
    assert (ffi.sizeof(name), [field.offset for _, field in fields]) == layouts[POINTER]


def test_a_type_is_as_wide_as_on_windows() -> None:
    assert ffi.sizeof("DWORD") == 4
    for name in ("SOCKET", "HANDLE", "LPFN_WSARECVMSG", "LPFN_WSASENDMSG"):
        assert ffi.sizeof(name) == POINTER


ENUMS: dict[type[enum.IntEnum] | type[enum.IntFlag], dict[str, int]] = {
    WinsockError: {
        "WSA_OPERATION_ABORTED": 995,
        "WSA_IO_INCOMPLETE": 996,
        "WSA_IO_PENDING": 997,
        "WSAEINTR": 10004,
        "WSAEACCES": 10013,
        "WSAEFAULT": 10014,
        "WSAEINVAL": 10022,
        "WSAEWOULDBLOCK": 10035,
        "WSAEINPROGRESS": 10036,
        "WSAENOTSOCK": 10038,
        "WSAEMSGSIZE": 10040,
        "WSAEOPNOTSUPP": 10045,
        "WSAEADDRINUSE": 10048,
        "WSAEADDRNOTAVAIL": 10049,
        "WSAENETDOWN": 10050,
        "WSAENETUNREACH": 10051,
        "WSAENETRESET": 10052,
        "WSAECONNABORTED": 10053,
        "WSAECONNRESET": 10054,
        "WSAENOBUFS": 10055,
        "WSAEISCONN": 10056,
        "WSAENOTCONN": 10057,
        "WSAESHUTDOWN": 10058,
        "WSAETIMEDOUT": 10060,
        "WSAECONNREFUSED": 10061,
        "WSAEHOSTDOWN": 10064,
        "WSAEHOSTUNREACH": 10065,
        "WSANOTINITIALISED": 10093,
        "WSAEDISCON": 10101,
    },
    MsgFlag: {
        "MSG_OOB": 0x1,
        "MSG_PEEK": 0x2,
        "MSG_WAITALL": 0x8,
        "MSG_PUSH_IMMEDIATE": 0x20,
        "MSG_PARTIAL": 0x8000,
        "MSG_TRUNC": 0x100,
        "MSG_CTRUNC": 0x200,
        "MSG_BCAST": 0x400,
        "MSG_MCAST": 0x800,
    },
}


@pytest.mark.parametrize("kind", ENUMS)
def test_the_values_are_those_of_the_windows_headers(
    kind: type[enum.IntEnum] | type[enum.IntFlag],
) -> None:
    assert {name: member.value for name, member in kind.__members__.items()} == ENUMS[kind]


def test_a_generated_module_that_is_not_what_the_declarations_give_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cdef = pytest.importorskip("trio_wsarecv._winsock.cdef")
    command = [sys.executable, "-m", "trio_wsarecv._winsock.cdef", "--check"]
    subprocess.run(command, check=True, timeout=60)
    monkeypatch.setattr(cdef, "PATH", tmp_path / "generated.py")
    assert cdef.main([]) == 0
    assert cdef.main(["--check"]) == 0
    assert capsys.readouterr().err == ""
    cdef.PATH.write_text("ffi = None\n", encoding="ascii")
    assert cdef.main(["--check"]) == 1
    assert "out of date" in capsys.readouterr().err


@pytest.mark.windows
def test_python_on_windows_has_the_same_values() -> None:
    known = {name: value for name, value in vars(errno).items() if name in WinsockError.__members__}
    assert len(known) > 20
    assert known == {name: WinsockError[name].value for name in known}
    flags = [flag for flag in MsgFlag if hasattr(socket, str(flag.name))]
    assert len(flags) > 5
    assert flags == [getattr(socket, str(flag.name)) for flag in flags]
