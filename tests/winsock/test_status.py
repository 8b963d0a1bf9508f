"""Every decision of the overlapped engine, row by row: pure tables, the same on every system."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import pytest

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

# Some statuses and what Winsock makes of them; tests/simulation/oracle has all of them.
ERRORS = {
    0x80000005: 10040,
    0xC0000005: 10014,
    0xC0000008: 10038,
    0xC000000D: 10022,
    0xC000009A: 10055,
    0xC00000A3: 10035,
    0xC00000B0: 10058,
    0xC00000B5: 10060,
    0xC0000120: 995,
    0xC000013B: 10053,
    0xC000013C: 10054,
    0xC0000140: 10057,
    0xC0000141: 10049,
    0xC000020D: 10054,
    0xC000020F: 10053,
    0xC0000236: 10061,
    0xC0000237: 10101,
    0xC000023D: 10065,
    0xC000023F: 10054,
    0xC0000240: 10004,
    0xC0000241: 10053,
    0xC000A012: 10054,
    # What Winsock does not know, what Wine sends when a handle is closed among it.
    0x8000000A: 10022,
    0x80000001: 10022,
    0xC0FFFFFF: 10022,
    # A Win32 error passed as a status.
    0x80072746: 10022,
    0xC00703E4: 996,
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
    996: OSError,
    10004: InterruptedError,
    10013: PermissionError,
    10014: OSError,
    10022: OSError,
    10035: BlockingIOError,
    10036: BlockingIOError,
    10038: OSError,
    10040: OSError,
    10045: OSError,
    10048: OSError,
    10049: OSError,
    10050: OSError,
    10051: OSError,
    10052: OSError,
    10053: ConnectionAbortedError,
    10054: ConnectionResetError,
    10055: OSError,
    10056: OSError,
    10057: OSError,
    10058: BrokenPipeError,
    10060: TimeoutError,
    10061: ConnectionRefusedError,
    10064: OSError,
    10065: OSError,
    10093: OSError,
    10101: OSError,
}

OVERFLOW = 0x80000005
ABORTS = (0xC0000120, 0xC0000240)
FAILURES = [status for status in ERRORS if status not in (OVERFLOW, *ABORTS)]


@pytest.mark.parametrize("status", ERRORS, ids=hex)
def test_a_status_becomes_the_error_that_winsock_makes_of_it(status: int) -> None:
    assert error_of_status(status) == ERRORS[status]


def test_every_status_with_a_name_is_a_success_or_an_error() -> None:
    named = {int(status) for status in NtStatus}
    named.remove(0x00000103)  # STATUS_PENDING: nothing that has completed is
    assert {status for status in named if status >> 30 < 2} == set(SUCCESSES) & named
    assert {status for status in named if status >> 30 >= 2} <= set(STATUS_ERRORS)


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


def test_a_code_that_the_system_has_no_text_for_gets_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_text(code: int) -> tuple[int, str]:
        return code, f"Windows Error 0x{code:04X}"

    monkeypatch.setattr(calls, "ffi", SimpleNamespace(getwinerror=no_text))
    error = winsock_error(WinsockError.WSAEOPNOTSUPP)
    assert (error.winerror, error.strerror) == (10045, "WSAEOPNOTSUPP")  # type: ignore[attr-defined,unused-ignore]


def test_a_code_without_a_name_and_a_text_gets_what_python_gives_it() -> None:
    error = winsock_error(0xABCDE)
    assert (error.winerror, error.strerror) == (0xABCDE, "Windows Error 0xabcde")  # type: ignore[attr-defined,unused-ignore]


# Whether a packet follows.

INLINE_STATUSES = (0x00000000, 0x00000103, 0x80000005, 0xC0000120, 0xC000020D, 0x4000000F)
EVERY_ERROR = [0, *WinsockError, 87, 10099]


@pytest.mark.parametrize("status", INLINE_STATUSES, ids=hex)
@pytest.mark.parametrize("error", EVERY_ERROR)
def test_a_packet_follows_acceptance_and_a_message_cut_off_inline(error: int, status: int) -> None:
    expected = error in (0, 997) or (error, status) == (10040, OVERFLOW)
    assert packet_follows(error, status, Mode.DEFAULT) is expected


@pytest.mark.parametrize("status", INLINE_STATUSES, ids=hex)
@pytest.mark.parametrize("error", EVERY_ERROR)
def test_in_skip_mode_a_packet_follows_what_is_pending_alone(error: int, status: int) -> None:
    assert packet_follows(error, status, Mode.SKIP_ON_SUCCESS) is (error == 997)


# What a completion means.

ASKED = {None: Result.ABORTED, Asked.CANCEL: Result.CANCELLED, Asked.CLOSE: Result.CLOSED}
every_request = pytest.mark.parametrize("asked", ASKED)
every_kind = pytest.mark.parametrize("is_stream", [False, True], ids=["datagrams", "stream"])


@every_kind
@every_request
@pytest.mark.parametrize("nbytes", [0, 1, 1 << 30])
@pytest.mark.parametrize("status", SUCCESSES, ids=hex)
def test_data_that_has_arrived_is_received_whatever_was_asked_for(
    status: int, nbytes: int, asked: Asked | None, is_stream: bool
) -> None:
    verdict = judge(status, nbytes, asked=asked, is_stream=is_stream)
    if asked and is_stream and not nbytes:  # the end of the stream, which will be there again
        assert verdict == Verdict(ASKED[asked])
    else:
        assert verdict == Verdict(Result.RECEIVED, None, SUCCESSES[status])


@every_kind
@every_request
@pytest.mark.parametrize("nbytes", [0, 5])
def test_a_datagram_cut_off_is_kept_whatever_was_asked_for(
    nbytes: int, asked: Asked | None, is_stream: bool
) -> None:
    verdict = judge(OVERFLOW, nbytes, asked=asked, is_stream=is_stream)
    assert verdict == Verdict(Result.TRUNCATED, WinsockError.WSAEMSGSIZE, MsgFlag.MSG_TRUNC)


@every_kind
@every_request
@pytest.mark.parametrize("nbytes", [0, 5])
@pytest.mark.parametrize("status", ABORTS, ids=hex)
def test_an_abort_is_what_was_asked_for_first_or_is_repeated(
    status: int, nbytes: int, asked: Asked | None, is_stream: bool
) -> None:
    verdict = judge(status, nbytes, asked=asked, is_stream=is_stream)
    assert verdict == Verdict(Result.RECEIVED if nbytes else ASKED[asked])


@every_kind
@every_request
@pytest.mark.parametrize("nbytes", [0, 5])
@pytest.mark.parametrize("status", FAILURES, ids=hex)
def test_a_failure_waits_behind_data_and_behind_a_cancellation(
    status: int, nbytes: int, asked: Asked | None, is_stream: bool
) -> None:
    verdict = judge(status, nbytes, asked=asked, is_stream=is_stream)
    error = WinsockError(ERRORS[status])
    # For want of memory the next receive need not fail.
    later = None if error == WinsockError.WSAENOBUFS else error
    if nbytes:
        assert verdict == Verdict(Result.RECEIVED_THEN_FAILED, later)
    elif asked is Asked.CLOSE:
        assert verdict == Verdict(Result.CLOSED)
    elif asked is Asked.CANCEL:
        assert verdict == Verdict(Result.CANCELLED, later)
    else:
        assert verdict == Verdict(Result.FAILED, error)
