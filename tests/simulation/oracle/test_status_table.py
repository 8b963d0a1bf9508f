"""What Winsock makes of each NTSTATUS, against what Windows answers for 208,896 of them.

The numbers are those of ``ntstatus.h`` and ``winsock2.h``; they are written out here so that a
wrong one in the package shows.
"""

from __future__ import annotations

import itertools

import pytest

from tests.simulation.winsock import STATUS_FLAGS
from trio_wsarecv._winsock.status import RECEIVED, STATUS_ERRORS, Result, error_of_status, judge

WSAEINVAL = 10022

# By Winsock error, the statuses that WSAGetOverlappedResult reports so.
ERRORS = {
    995: {0xC0000120},
    996: {0x800703E4, 0xC00103E4, 0xC00703E4},
    10004: {0xC0000240},
    10013: {0xC0000022},
    10014: {0xC0000005, 0xC0000023, 0xC00002C5},
    10035: {0xC00000A3, 0xC00000D0},
    10038: {0xC0000008, 0xC0000024},
    10040: {0x80000005, 0xC0000206},
    10045: {0xC0000002, 0xC00000BB},
    10048: {0xC0000043, 0xC000020A},
    10049: {0xC0000141, 0xC0000207},
    10050: {
        *(0xC000000E, 0xC000000F, 0xC0000034, 0xC000003A),
        *(0xC00000BF, 0xC00000C3, 0xC00000C4),
    },
    10051: {0xC00000BE, 0xC000023C, 0xC000023E},
    10053: {0xC000013B, 0xC000020F, 0xC0000241},
    10054: {0xC000013C, 0xC000013E, 0xC000020C, 0xC000020D, 0xC000023F},
    10055: {
        *(0xC0000007, 0xC0000017, 0xC0000018, 0xC0000044, 0xC0000097),
        *(0xC000009A, 0xC00000A1, 0xC000012D, 0xC000013D, 0xC0000209),
    },
    10056: {0xC000023B},
    10057: {0xC0000140},
    10058: {0xC00000B0},
    10060: {0xC00000B5, 0xC000013F},
    10061: {0xC00000BC, 0xC0000236},
    10064: {0xC0000350},
    10065: {0xC000023D},
    10101: {0xC0000237},
}
EXPECTED = {status: error for error, statuses in ERRORS.items() for status in statuses}

# What was asked on Windows: warnings and errors, and Win32 errors that are passed as statuses.
FAILURES = [
    range(0x80000000, 0x80001000),
    range(0x80070000, 0x80080000),
    range(0xC0000000, 0xC0001000),
    range(0xC0070000, 0xC0080000),
    range(0xD0000000, 0xD0001000),
    range(0xD0070000, 0xD0080000),
]
SUCCESSES = [range(0x0, 0x10000), range(0x40000000, 0x40001000)]
PENDING = 0x103


@pytest.mark.behaviour("78", "Wine sock.c test_WSAGetOverlappedResult, map_status")
def test_the_table_has_two_statuses_that_this_test_of_wine_has_not() -> None:
    assert STATUS_ERRORS.keys() - EXPECTED.keys() == {0xC000000D, 0xC000A012}
    assert error_of_status(0xC000000D) == WSAEINVAL  # which all unknown ones become
    assert error_of_status(0xC000A012) == 10054  # libuv, uv__ntstatus_to_winsock_error


@pytest.mark.behaviour("78", "Wine sock.c test_WSAGetOverlappedResult, map_status")
def test_every_failure_becomes_the_error_that_windows_reports() -> None:
    statuses = [*itertools.chain(*FAILURES)]
    assert len(statuses) == 208_896
    different = {
        hex(status)
        for status in statuses
        if error_of_status(status) != EXPECTED.get(status, WSAEINVAL)
    }
    assert not different


@pytest.mark.behaviour(
    "79", "Wine sock.c test_WSAGetOverlappedResult: NT_SUCCESS, STATUS_PENDING apart"
)
def test_every_success_and_every_informational_status_is_a_success() -> None:
    for status in itertools.chain(*SUCCESSES):
        if status != PENDING:
            verdict = judge(status, 5, asked=None, is_stream=True)
            assert verdict.result is Result.RECEIVED
            assert verdict.error is None
            assert verdict.flags == STATUS_FLAGS.get(status, 0)
    assert judge(0, 0, asked=None, is_stream=True) == RECEIVED
