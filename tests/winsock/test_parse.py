"""Addresses, control messages and providers: from the bytes of Windows to Python and back."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.receiving import SENDER, SENDER_ADDRESS
from trio_wsarecv._winsock.calls import ffi
from trio_wsarecv._winsock.parse import (
    is_numeric,
    lay_out_address,
    lay_out_ancillary,
    parse_address,
    parse_ancillary,
)
from trio_wsarecv._winsock.provider import Provider, parse_provider, provider_of

POINTER = ffi.sizeof("uintptr_t")
IPV6 = struct.pack("<H", 23)  # Windows' value

ADDRESSES: dict[str, tuple[bytes, Any]] = {
    "IPv4": (SENDER, SENDER_ADDRESS),
    "IPv4, with more behind it": (SENDER + b"rest" * 28, SENDER_ADDRESS),
    "IPv6": (IPV6 + b"\x1f\x90" + bytes(19) + b"\x01" + bytes(4), ("::1", 8080, 0, 0)),
    "IPv6 with a flow and a scope": (
        IPV6
        + b"\x1f\x90\x00\x0a\xbc\xde"
        + bytes.fromhex("fe800000000000000000000000000001")
        + b"\x07\x00\x01\x00",
        ("fe80::1", 8080, 0xABCDE, 0x10007),
    ),
    "none": (b"", None),
    "of another family": (b"\x22\x00" + bytes(range(14)), (0x22, bytes(range(14)))),
    "of another family, with more behind it": (
        b"\x22\x00" + bytes(range(30)),
        (0x22, bytes(range(14))),
    ),
    "untouched": (bytes(16), (0, bytes(14))),
}


@pytest.mark.parametrize(("sockaddr", "expected"), ADDRESSES.values(), ids=ADDRESSES)
def test_an_address_is_parsed_as_python_gives_it(sockaddr: bytes, expected: Any) -> None:
    assert parse_address(sockaddr) == expected


def cmsg(level: int, kind: int, data: bytes, length: int | None = None) -> bytes:
    size = POINTER + 8 + len(data)
    length = size if length is None else length
    header = length.to_bytes(POINTER, "little") + struct.pack("<ii", level, kind)
    return (header + data).ljust(-(-size // POINTER) * POINTER, b"\xee")


ONE, TWO = cmsg(0, 19, b"12345678"), cmsg(41, 21, b"1")
CONTROLS: dict[str, tuple[bytes, list[tuple[int, int, bytes]]]] = {
    "nothing": (b"", []),
    "a header that is incomplete": (ONE + TWO[:10], [(0, 19, b"12345678")]),
    "data that is incomplete": (TWO + ONE[:-1], [(41, 21, b"1")]),
    "data without its padding": (ONE + TWO[: POINTER + 9], [(0, 19, b"12345678"), (41, 21, b"1")]),
    "a length less than a header's": (cmsg(0, 1, b"data", 3) + ONE, []),
    "a length of nothing": (bytes(64), []),
    "an absurd length": (cmsg(0, 1, b"data", (1 << (8 * POINTER)) - 1) + ONE, []),
}


@pytest.mark.parametrize(("control", "expected"), CONTROLS.values(), ids=CONTROLS)
def test_malformed_control_messages_are_left_out(
    control: bytes, expected: list[tuple[int, int, bytes]]
) -> None:
    assert parse_ancillary(control) == expected


number = st.integers(-(1 << 31), (1 << 31) - 1)


@given(
    sent=st.lists(st.tuples(number, number, st.binary(max_size=40)), max_size=5),
    cut=st.integers(0, 30),
)
def test_control_messages_that_are_laid_out_are_parsed_as_far_as_they_are_complete(
    sent: list[tuple[int, int, bytes]], cut: int
) -> None:
    control = lay_out_ancillary(sent)
    assert len(control) == sum(len(cmsg(*message)) for message in sent)
    assert parse_ancillary(control) == sent
    parsed = parse_ancillary(control[: max(len(control) - cut, 0)])
    assert parsed == sent[: len(parsed)]


#: What becomes of an address: another one, with what was left out, or an error.
FOR_IPV4: list[tuple[Any, Any]] = [
    *((same, same) for same in (("192.0.2.1", 0), ("255.255.255.255", 65535))),
    *((address, TypeError) for address in (None, "127.0.0.1", ["127.0.0.1", 1], ())),
    *((address, TypeError) for address in (("127.0.0.1",), ("127.0.0.1", 1, 0))),
    *(((host, 1), TypeError) for host in (b"127.0.0.1", None)),
    *((("127.0.0.1", port), TypeError) for port in ("http", 0.5)),
    *((("127.0.0.1", port), OverflowError) for port in (-1, 1 << 16)),
    *(((host, 1), OSError) for host in ("localhost", "::1")),
]
FOR_IPV6: list[tuple[Any, Any]] = [
    (("::1", 53), ("::1", 53, 0, 0)),
    (("::1", 53, 7), ("::1", 53, 7, 0)),
    (("fe80::1", 65535, (1 << 20) - 1, (1 << 32) - 1),) * 2,
    (("::1", 1, 0, 0, 0), TypeError),
    *((("::1", 1, flow), OverflowError) for flow in (-1, 1 << 20)),
    *((("::1", 1, 0, scope), OverflowError) for scope in (-1, 1 << 32)),
    (("127.0.0.1", 1), OSError),
]


@pytest.mark.parametrize(
    ("family", "address", "expected"),
    [*((socket.AF_INET, *row) for row in FOR_IPV4), *((socket.AF_INET6, *row) for row in FOR_IPV6)],
    ids=repr,
)
def test_an_address_is_completed_or_refused(family: int, address: Any, expected: Any) -> None:
    if isinstance(expected, type):
        with pytest.raises(expected) as caught:
            lay_out_address(family, address)
        assert caught.type is expected
    else:
        sockaddr = lay_out_address(family, address)
        assert len(sockaddr) == (16 if family == socket.AF_INET else 28)
        assert parse_address(sockaddr) == expected
        assert is_numeric(family, address[0])


@pytest.mark.parametrize("host", ["localhost", "127.1", "", "127.0.0.1 ", "::1", "<broadcast>"])
def test_a_host_that_would_be_resolved_is_not_numeric(host: str) -> None:
    assert not is_numeric(socket.AF_INET, host)


# The layout of the documentation's macros: WSA_CMSG_LEN in the header, WSA_CMSG_SPACE in all.
@pytest.mark.parametrize(
    ("pointer_size", "control"),
    [
        (4, "0f000000 11000000 02000000 61626300 10000000 00000000 32000000 02000000"),
        (
            8,
            "1300000000000000 11000000 02000000 6162630000000000"
            " 1400000000000000 00000000 32000000 0200000000000000",
        ),
    ],
)
def test_control_messages_are_laid_out_for_both_sizes_of_a_pointer(
    pointer_size: int, control: str
) -> None:
    sent = [(17, 2, b"abc"), (0, 50, struct.pack("<i", 2))]
    assert lay_out_ancillary(sent, pointer_size) == bytes.fromhex(control)


def test_the_data_of_a_control_message_is_any_buffer() -> None:
    expected = lay_out_ancillary([(1, 2, b"abcd")])
    for data in (bytearray(b"abcd"), memoryview(b"abcd"), memoryview(b"a.b.c.d.")[::2]):
        assert lay_out_ancillary([(1, 2, data)]) == expected
    as_a_list: Any = [1, 2, b"abcd"]
    assert lay_out_ancillary(iter([as_a_list])) == expected


BAD_ANCILLARY: list[tuple[Any, type[Exception]]] = [
    *((bad, TypeError) for bad in (None, [1], [(1, 2)], [(1, 2, b"", b"")])),
    *(([(level, 2, b"")], TypeError) for level in ("1", 0.5)),
    *(([(1, kind, b"")], TypeError) for kind in ("1", 0.5)),
    *(([(1, 2, data)], TypeError) for data in (5, "data", None)),
    ([(1 << 31, 2, b"")], OverflowError),
    ([(1, (-1 << 31) - 1, b"")], OverflowError),
]


@pytest.mark.parametrize(("bad", "error"), BAD_ANCILLARY, ids=repr)
def test_bad_ancillary_data_is_refused(bad: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        lay_out_ancillary(bad)
    assert caught.type is error


@pytest.mark.parametrize(
    ("service_flags", "has_ifs_handles"),
    [(0x20066, True), (0x20609, True), (0x20000, True), (0x66, False), (0x609, False)],
)
@pytest.mark.parametrize("chain_length", [0, 1, 2])
def test_a_provider_says_whether_it_has_ifs_handles(
    service_flags: int, has_ifs_handles: bool, chain_length: int
) -> None:
    name = "MSAFD Tcpip [TCP/IP]"
    fields = struct.pack("<I32xII", service_flags, 1001, chain_length).ljust(116, b"\xee")
    info = (fields + name.encode("utf-16le") + b"\0\0").ljust(628, b"\xee")
    assert parse_provider(info) == Provider(name, 1001, chain_length, has_ifs_handles)


if sys.platform == "win32":

    @pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
    def test_the_providers_of_this_system_have_ifs_handles(kind: int) -> None:
        with socket.socket(socket.AF_INET, kind) as sock:
            provider = provider_of(sock)
        assert provider.has_ifs_handles
        assert provider.chain_length == 1
        assert provider.name
