"""The structures and constants are those of Windows, wherever the package is imported.

The sizes of the structures follow from the size of a pointer, so the expectations for 32 and for
64 bits are both written down and the machine picks its own.
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
from trio_wsarecv._winsock.calls import address_of, ffi
from trio_wsarecv._winsock.codes import NtStatus

POINTER = ffi.sizeof("void *")

# Name: size, then the offset of each field; for pointers of 4 bytes and of 8.
LAYOUTS: dict[str, dict[int, tuple[int, dict[str, int]]]] = {
    "OVERLAPPED": {
        4: (20, {"Internal": 0, "InternalHigh": 4, "Offset": 8, "OffsetHigh": 12, "hEvent": 16}),
        8: (32, {"Internal": 0, "InternalHigh": 8, "Offset": 16, "OffsetHigh": 20, "hEvent": 24}),
    },
    "WSABUF": {
        4: (8, {"len": 0, "buf": 4}),
        8: (16, {"len": 0, "buf": 8}),
    },
    "WSAMSG": {
        4: (
            28,
            {
                "name": 0,
                "namelen": 4,
                "lpBuffers": 8,
                "dwBufferCount": 12,
                "Control": 16,
                "dwFlags": 24,
            },
        ),
        8: (
            56,
            {
                "name": 0,
                "namelen": 8,
                "lpBuffers": 16,
                "dwBufferCount": 24,
                "Control": 32,
                "dwFlags": 48,
            },
        ),
    },
}

WIDTHS = {
    "DWORD": {4: 4, 8: 4},
    "SOCKET": {4: 4, 8: 8},
    "HANDLE": {4: 4, 8: 8},
    "LPFN_WSARECVMSG": {4: 4, 8: 8},
    "LPFN_WSASENDMSG": {4: 4, 8: 8},
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_structure_is_laid_out_as_on_windows(name: str) -> None:
    size, offsets = LAYOUTS[name][POINTER]
    assert ffi.sizeof(name) == size
    fields = dict(ffi.typeof(name).fields)
    assert {field: fields[field].offset for field in fields} == offsets


@pytest.mark.parametrize("name", WIDTHS)
def test_a_type_is_as_wide_as_on_windows(name: str) -> None:
    assert ffi.sizeof(name) == WIDTHS[name][POINTER]


def test_the_overlapped_of_a_receive_is_aligned() -> None:
    memory = ffi.new("RECEIVE *")
    assert address_of(ffi.addressof(memory, "overlapped")) % POINTER == 0


def test_a_new_overlapped_is_all_zero() -> None:
    memory = ffi.new("RECEIVE *")
    assert bytes(ffi.buffer(memory)) == bytes(ffi.sizeof("RECEIVE"))


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


def test_every_status_has_the_severity_that_its_kind_has() -> None:
    severities = {status.name: status.value >> 30 for status in NtStatus}
    assert [name for name, severity in severities.items() if severity == 0] == [
        "SUCCESS",
        "PENDING",
    ]
    assert [name for name, severity in severities.items() if severity == 1] == [
        "RECEIVE_PARTIAL",
        "RECEIVE_EXPEDITED",
        "RECEIVE_PARTIAL_EXPEDITED",
    ]
    assert [name for name, severity in severities.items() if severity == 2] == ["BUFFER_OVERFLOW"]


def test_the_generated_module_is_what_the_declarations_give() -> None:
    pytest.importorskip("cffi")
    subprocess.run(
        [sys.executable, "-m", "trio_wsarecv._winsock.cdef", "--check"], check=True, timeout=60
    )


def test_a_generated_module_that_is_out_of_date_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cdef = pytest.importorskip("trio_wsarecv._winsock.cdef")
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


@pytest.mark.windows
def test_ctypes_of_windows_agrees() -> None:
    wintypes = pytest.importorskip("ctypes.wintypes")
    ctypes = pytest.importorskip("ctypes")
    assert ffi.sizeof("DWORD") == ctypes.sizeof(wintypes.DWORD)
    assert ffi.sizeof("HANDLE") == ctypes.sizeof(wintypes.HANDLE)
