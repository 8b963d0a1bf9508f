"""Addresses, control messages and providers, as Windows writes them and as Python gives them."""

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
from trio_wsarecv._winsock.parse import parse_address, parse_ancillary
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
def test_an_address_is_what_python_makes_of_it(sockaddr: bytes, expected: Any) -> None:
    assert parse_address(sockaddr) == expected


def cmsg(level: int, kind: int, data: bytes, length: int | None = None) -> bytes:
    size = POINTER + 8 + len(data)
    told = size if length is None else length
    header = told.to_bytes(POINTER, "little") + struct.pack("<ii", level, kind)
    return (header + data).ljust(-(-size // POINTER) * POINTER, b"\xee")


ONE, TWO = cmsg(0, 19, b"12345678"), cmsg(41, 21, b"1")
CONTROLS: dict[str, tuple[bytes, list[tuple[int, int, bytes]]]] = {
    "nothing": (b"", []),
    "one": (ONE, [(0, 19, b"12345678")]),
    "two": (ONE + TWO, [(0, 19, b"12345678"), (41, 21, b"1")]),
    "two, the first of an odd length": (TWO + ONE, [(41, 21, b"1"), (0, 19, b"12345678")]),
    "no data": (cmsg(0, 1, b""), [(0, 1, b"")]),
    "a header that is incomplete": (ONE + TWO[:10], [(0, 19, b"12345678")]),
    "data that is incomplete": (TWO + ONE[:-1], [(41, 21, b"1")]),
    "data without its padding": (ONE + TWO[: POINTER + 9], [(0, 19, b"12345678"), (41, 21, b"1")]),
    "a length less than a header's": (cmsg(0, 1, b"data", 3) + ONE, []),
    "a length of nothing": (bytes(64), []),
    "an absurd length": (cmsg(0, 1, b"data", (1 << (8 * POINTER)) - 1) + ONE, []),
}


@pytest.mark.parametrize(("control", "expected"), CONTROLS.values(), ids=CONTROLS)
def test_control_messages_are_those_that_are_complete(
    control: bytes, expected: list[tuple[int, int, bytes]]
) -> None:
    assert parse_ancillary(control) == expected


messages = st.tuples(
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.binary(max_size=40),
)


@given(sent=st.lists(messages, max_size=5), cut=st.integers(0, 30))
def test_control_messages_come_in_order_as_many_as_are_complete(
    sent: list[tuple[int, int, bytes]], cut: int
) -> None:
    control = b"".join(cmsg(*message) for message in sent)
    parsed = parse_ancillary(control[: max(len(control) - cut, 0)])
    assert parsed == sent[: len(parsed)]
    if not cut:
        assert parsed == sent


@given(control=st.binary(max_size=100))
def test_nothing_in_control_data_does_harm(control: bytes) -> None:
    for _, _, data in parse_ancillary(control):
        assert data in control


def protocol_info(service_flags: int, entry: int, chain_length: int, name: str) -> bytes:
    info = struct.pack("<I", service_flags).ljust(36, b"\xee") + struct.pack(
        "<II", entry, chain_length
    )
    return (info.ljust(116, b"\xee") + name.encode("utf-16le") + b"\0\0").ljust(628, b"\xee")


@pytest.mark.parametrize(
    ("service_flags", "has_ifs_handles"),
    [(0x20066, True), (0x20609, True), (0x20000, True), (0x66, False), (0x609, False)],
)
@pytest.mark.parametrize("chain_length", [0, 1, 2])
def test_a_provider_says_what_its_handles_are(
    service_flags: int, has_ifs_handles: bool, chain_length: int
) -> None:
    info = protocol_info(service_flags, 1001, chain_length, "MSAFD Tcpip [TCP/IP]")
    expected = Provider("MSAFD Tcpip [TCP/IP]", 1001, chain_length, has_ifs_handles)
    assert parse_provider(info) == expected


if sys.platform == "win32":

    @pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
    def test_the_providers_of_this_system_have_handles_of_the_file_system(kind: int) -> None:
        with socket.socket(socket.AF_INET, kind) as sock:
            provider = provider_of(sock)
        assert provider.has_ifs_handles
        assert provider.chain_length == 1
        assert provider.name
