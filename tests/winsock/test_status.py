"""Every decision of the overlapped engine: pure tables, the same on every system."""

from __future__ import annotations

import itertools
import pickle
from types import SimpleNamespace

import pytest

from tests.simulation.oracle.test_status_table import EXPECTED
from trio_wsarecv import MsgFlag, WinsockError
from trio_wsarecv._winsock import calls
from trio_wsarecv._winsock.calls import winsock_error
from trio_wsarecv._winsock.codes import NtStatus
from trio_wsarecv._winsock.status import (
    STATUS_ERRORS,
    Asked,
    Mode,
    Result,
    Verdict,
    error_of_status,
    judge,
    os_error,
    packet_follows,
)

SUCCESSES = {
    0x00000000: MsgFlag(0),
    0x00000102: MsgFlag(0),
    0x4000000F: MsgFlag.MSG_PARTIAL,
    0x40000010: MsgFlag.MSG_OOB,
    0x40000011: MsgFlag.MSG_OOB | MsgFlag.MSG_PARTIAL,
    0x40000000: MsgFlag(0),
}

# The types of the exceptions; of all other codes it is OSError itself.
TYPES: dict[int, type[OSError]] = {
    10004: InterruptedError,
    10013: PermissionError,
    10035: BlockingIOError,
    10036: BlockingIOError,
    10053: ConnectionAbortedError,
    10054: ConnectionResetError,
    10058: BrokenPipeError,
    10060: TimeoutError,
    10061: ConnectionRefusedError,
}

OVERFLOW = 0x80000005
ABORTS = (0xC0000120, 0xC0000240)
# What Winsock does not know becomes WSAEINVAL.
ERRORS = {**EXPECTED, 0x8000000A: 10022, 0xC000000D: 10022, 0xC0FFFFFF: 10022, 0xC000A012: 10054}
FAILURES = [status for status in ERRORS if status not in (OVERFLOW, *ABORTS)]


@pytest.mark.parametrize("status", ERRORS, ids=hex)
def test_a_status_becomes_the_error_that_winsock_makes_of_it(status: int) -> None:
    assert error_of_status(status) == ERRORS[status]


def test_every_status_with_a_name_is_a_success_or_an_error() -> None:
    named = {int(status) for status in NtStatus}
    named.remove(0x00000103)  # STATUS_PENDING: nothing that has completed is
    assert {status for status in named if status >> 30 < 2} == set(SUCCESSES) & named
    assert {status for status in named if status >> 30 >= 2} <= set(STATUS_ERRORS)


# 87 has no name here.
@pytest.mark.parametrize("code", {*WinsockError, 87} - {WinsockError.WSA_IO_PENDING})
def test_a_code_becomes_the_exception_that_python_makes_of_it(code: int) -> None:
    error = os_error(code, "what happened")
    assert type(error) is TYPES.get(code, OSError)
    assert error.winerror == code  # type: ignore[attr-defined,unused-ignore]
    assert error.strerror == "what happened"
    assert error.errno
    assert type(pickle.loads(pickle.dumps(error))) is type(error)


def test_a_code_that_the_system_has_no_text_for_gets_its_name_or_pythons_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_text(code: int) -> tuple[int, str]:
        return code, f"Windows Error 0x{code:04X}"

    monkeypatch.setattr(calls, "ffi", SimpleNamespace(getwinerror=no_text))
    for code, text in (10045, "WSAEOPNOTSUPP"), (0xABCDE, "Windows Error 0xabcde"):
        error = winsock_error(code)
        assert (error.winerror, error.strerror) == (code, text)  # type: ignore[attr-defined,unused-ignore]


# Whether a packet follows.

INLINE_STATUSES = (0x00000000, 0x00000103, 0x80000005, 0xC0000120, 0xC000020D, 0x4000000F)
EVERY_ERROR = [0, *WinsockError, 87, 10099]


@pytest.mark.parametrize("status", INLINE_STATUSES, ids=hex)
@pytest.mark.parametrize("error", EVERY_ERROR)
def test_whether_a_packet_follows_depends_on_error_status_and_mode(error: int, status: int) -> None:
    overflow = (error, status) == (10040, OVERFLOW)
    assert packet_follows(error, status, Mode.DEFAULT) is (error in (0, 997) or overflow)
    assert packet_follows(error, status, Mode.SKIP_ON_SUCCESS) is (error == 997)


# What a completion means.

ASKED = {None: Result.ABORTED, Asked.CANCEL: Result.CANCELLED, Asked.CLOSE: Result.CLOSED}
CASES = [*itertools.product([0, 1, 1 << 30], ASKED, [False, True])]


@pytest.mark.parametrize("status", SUCCESSES, ids=hex)
def test_data_is_received_even_after_a_cancellation_or_a_close(status: int) -> None:
    for nbytes, asked, is_stream in CASES:
        verdict = judge(status, nbytes, asked=asked, is_stream=is_stream)
        if asked and is_stream and not nbytes:  # the end of the stream, which the next receive gets
            assert verdict == Verdict(ASKED[asked])
        else:
            assert verdict == Verdict(Result.RECEIVED, None, SUCCESSES[status])


def test_a_truncated_datagram_is_received_even_after_a_cancellation_or_a_close() -> None:
    for nbytes, asked, is_stream in CASES:
        verdict = judge(OVERFLOW, nbytes, asked=asked, is_stream=is_stream)
        assert verdict == Verdict(Result.TRUNCATED, WinsockError.WSAEMSGSIZE, MsgFlag.MSG_TRUNC)


@pytest.mark.parametrize("status", ABORTS, ids=hex)
def test_an_abort_is_a_cancellation_or_a_close_if_asked_for_and_otherwise_repeated(
    status: int,
) -> None:
    for nbytes, asked, is_stream in CASES:
        verdict = judge(status, nbytes, asked=asked, is_stream=is_stream)
        assert verdict == Verdict(Result.RECEIVED if nbytes else ASKED[asked])


@pytest.mark.parametrize("status", FAILURES, ids=hex)
def test_a_failure_comes_after_data_and_after_a_cancellation(status: int) -> None:
    for nbytes, asked, is_stream in CASES:
        verdict = judge(status, nbytes, asked=asked, is_stream=is_stream)
        error = WinsockError(ERRORS[status])
        # If memory was lacking, the next receive need not fail.
        later = None if error == WinsockError.WSAENOBUFS else error
        if nbytes:
            assert verdict == Verdict(Result.RECEIVED_THEN_FAILED, later)
        elif asked is Asked.CLOSE:
            assert verdict == Verdict(Result.CLOSED)
        elif asked is Asked.CANCEL:
            assert verdict == Verdict(Result.CANCELLED, later)
        else:
            assert verdict == Verdict(Result.FAILED, error)
