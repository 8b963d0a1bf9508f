"""Every decision of the overlapped engine, row by row: pure tables, the same on every system."""

from __future__ import annotations

import itertools
import pickle

import pytest

from trio_wsarecv import MsgFlag, WinsockError
from trio_wsarecv._codes import NtStatus
from trio_wsarecv._status import (
    STATUS_ERRORS,
    Outcome,
    Verdict,
    error_of_status,
    judge,
    os_error,
    packet_follows,
)

# The statuses and what Winsock makes of them, as winerror.h and ntstatus.h number both.
ERRORS = {
    0x80000005: (10040, OSError),
    0x8000000A: (995, OSError),
    0xC0000005: (10014, OSError),
    0xC0000008: (10038, OSError),
    0xC000000D: (10022, OSError),
    0xC0000010: (10045, OSError),
    0xC0000017: (10055, OSError),
    0xC0000024: (10038, OSError),
    0xC0000044: (10055, OSError),
    0xC0000097: (10055, OSError),
    0xC000009A: (10055, OSError),
    0xC00000A1: (10055, OSError),
    0xC00000A3: (10035, BlockingIOError),
    0xC00000B0: (10058, BrokenPipeError),
    0xC00000B5: (10060, TimeoutError),
    0xC00000BB: (10045, OSError),
    0xC00000C4: (10050, OSError),
    0xC0000120: (995, OSError),
    0xC000012D: (10055, OSError),
    0xC000013B: (10053, ConnectionAbortedError),
    0xC000013C: (10054, ConnectionResetError),
    0xC000013D: (10055, OSError),
    0xC000013E: (10054, ConnectionResetError),
    0xC000013F: (10060, TimeoutError),
    0xC0000140: (10057, OSError),
    0xC0000141: (10022, OSError),
    0xC0000206: (10040, OSError),
    0xC000020C: (10054, ConnectionResetError),
    0xC000020D: (10054, ConnectionResetError),
    0xC0000236: (10061, ConnectionRefusedError),
    0xC0000237: (10101, OSError),
    0xC000023A: (10057, OSError),
    0xC000023C: (10051, OSError),
    0xC000023D: (10065, OSError),
    0xC000023E: (10051, OSError),
    0xC000023F: (10054, ConnectionResetError),
    0xC0000240: (10004, InterruptedError),
    0xC0000241: (10053, ConnectionAbortedError),
    # A Win32 error in disguise.
    0x80072746: (10054, ConnectionResetError),
    0xC0072736: (10038, OSError),
    0xC00703E3: (995, OSError),
    # What nobody has heard of.
    0xC0070005: (10022, OSError),
    0xC0FFFFFF: (10022, OSError),
    0x80000001: (10022, OSError),
}

SUCCESSES = {
    0x00000000: MsgFlag(0),
    0x00000102: MsgFlag(0),
    0x4000000F: MsgFlag.MSG_PARTIAL,
    0x40000010: MsgFlag.MSG_OOB,
    0x40000011: MsgFlag.MSG_OOB | MsgFlag.MSG_PARTIAL,
    0x40000000: MsgFlag(0),
}

CODES = {
    995: OSError,
    10004: InterruptedError,
    10014: OSError,
    10022: OSError,
    10035: BlockingIOError,
    10036: BlockingIOError,
    10038: OSError,
    10040: OSError,
    10045: OSError,
    10050: OSError,
    10051: OSError,
    10052: OSError,
    10053: ConnectionAbortedError,
    10054: ConnectionResetError,
    10055: OSError,
    10057: OSError,
    10058: BrokenPipeError,
    10060: TimeoutError,
    10061: ConnectionRefusedError,
    10065: OSError,
    10093: OSError,
    10101: OSError,
}

OVERFLOW = 0x80000005
ABORTS = (0xC0000120, 0xC0000240, 0x8000000A)
FAILURES = [status for status in ERRORS if status not in (OVERFLOW, *ABORTS)]


@pytest.mark.parametrize("status", ERRORS, ids=hex)
def test_a_status_becomes_the_error_that_winsock_makes_of_it(status: int) -> None:
    code, kind = ERRORS[status]
    assert error_of_status(status) == code
    assert CODES[code] is kind


def test_every_status_of_the_table_is_in_this_one() -> None:
    assert set(STATUS_ERRORS) <= set(ERRORS)
    without_error = {*SUCCESSES, NtStatus.PENDING}
    assert {int(status) for status in NtStatus} - without_error == set(STATUS_ERRORS)


@pytest.mark.parametrize("code", CODES)
def test_a_code_becomes_the_exception_that_python_makes_of_it(code: int) -> None:
    error = os_error(code, "what happened")
    assert type(error) is CODES[code]
    assert error.winerror == code  # type: ignore[attr-defined,unused-ignore]
    assert error.strerror == "what happened"
    assert error.errno
    assert type(pickle.loads(pickle.dumps(error))) is CODES[code]


def test_every_code_is_in_this_table() -> None:
    assert {int(code) for code in WinsockError} - {WinsockError.WSA_IO_PENDING} == set(CODES)


def test_a_code_without_a_name_becomes_an_os_error() -> None:
    error = os_error(87, "parameter")
    assert type(error) is OSError
    assert error.winerror == 87  # type: ignore[attr-defined,unused-ignore]


# Whether a packet follows.

STATUSES_AT_ONCE = (0x00000000, 0x00000103, 0x80000005, 0xC0000120, 0xC000020D, 0x4000000F)


@pytest.mark.parametrize("status", STATUSES_AT_ONCE, ids=hex)
@pytest.mark.parametrize("error", [0, *WinsockError, 87, 10099])
def test_a_packet_follows_acceptance_and_a_datagram_cut_off_at_once(
    error: int, status: int
) -> None:
    expected = error in (0, 997) or (error, status) == (10040, OVERFLOW)
    assert packet_follows(error, status) is expected


# What a completion means.

EVERY_REQUEST = list(itertools.product((False, True), repeat=2))


@pytest.mark.parametrize(("cancelling", "closing"), EVERY_REQUEST)
@pytest.mark.parametrize("nbytes", [0, 1, 1 << 30])
@pytest.mark.parametrize("status", SUCCESSES, ids=hex)
def test_success_is_received_whatever_was_asked_for(
    status: int, nbytes: int, cancelling: bool, closing: bool
) -> None:
    verdict = judge(status, nbytes, cancelling=cancelling, closing=closing)
    assert verdict == Verdict(Outcome.RECEIVED, None, SUCCESSES[status])


@pytest.mark.parametrize(("cancelling", "closing"), EVERY_REQUEST)
@pytest.mark.parametrize("nbytes", [0, 5])
def test_a_datagram_cut_off_is_kept_whatever_was_asked_for(
    nbytes: int, cancelling: bool, closing: bool
) -> None:
    verdict = judge(OVERFLOW, nbytes, cancelling=cancelling, closing=closing)
    assert verdict == Verdict(Outcome.TRUNCATED, WinsockError.WSAEMSGSIZE, MsgFlag.MSG_TRUNC)


@pytest.mark.parametrize(
    ("nbytes", "cancelling", "closing", "outcome"),
    [
        (0, False, False, Outcome.ABORTED),
        (0, True, False, Outcome.CANCELLED),
        (0, False, True, Outcome.CLOSED),
        (0, True, True, Outcome.CLOSED),
        (5, False, False, Outcome.RECEIVED),
        (5, True, False, Outcome.RECEIVED),
        (5, False, True, Outcome.RECEIVED),
        (5, True, True, Outcome.RECEIVED),
    ],
)
@pytest.mark.parametrize("status", ABORTS, ids=hex)
def test_an_abort(
    status: int, nbytes: int, cancelling: bool, closing: bool, outcome: Outcome
) -> None:
    verdict = judge(status, nbytes, cancelling=cancelling, closing=closing)
    assert verdict == Verdict(outcome)


@pytest.mark.parametrize(
    ("nbytes", "cancelling", "closing", "outcome"),
    [
        (0, False, False, Outcome.FAILED),
        (0, True, False, Outcome.FAILED),
        (0, False, True, Outcome.CLOSED),
        (0, True, True, Outcome.CLOSED),
        (5, False, False, Outcome.RECEIVED_THEN_FAILED),
        (5, True, False, Outcome.RECEIVED_THEN_FAILED),
        (5, False, True, Outcome.RECEIVED_THEN_FAILED),
        (5, True, True, Outcome.RECEIVED_THEN_FAILED),
    ],
)
@pytest.mark.parametrize("status", FAILURES, ids=hex)
def test_a_failure(
    status: int, nbytes: int, cancelling: bool, closing: bool, outcome: Outcome
) -> None:
    verdict = judge(status, nbytes, cancelling=cancelling, closing=closing)
    error = None if outcome is Outcome.CLOSED else ERRORS[status][0]
    assert verdict == Verdict(outcome, error)  # type: ignore[arg-type]
