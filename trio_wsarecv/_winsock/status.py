"""What the answers of Winsock mean: every decision of the overlapped engine, and no I/O.

A receive has two moments at which Windows says how it stands.  When the call returns, its return
value says whether a completion packet will follow.  That has to be known exactly: a packet that
nobody waits for and a wait for a packet that never comes both end the whole `trio.run`.  When the
packet has been dequeued, the NTSTATUS and the byte count in the ``OVERLAPPED`` say how the receive
ended.  What the program sees depends also on whether we had asked the kernel to cancel it or were
closing the socket.
"""

from __future__ import annotations

import enum
import errno
import sys
from typing import Final, NamedTuple

from .codes import MsgFlag, NtStatus, WinsockError

_E = WinsockError
_S = NtStatus


class Mode(enum.Enum):
    """What a completion port is told of a receive that succeeds before its call returns."""

    DEFAULT = "a packet is queued, as for one that waits"
    SKIP_ON_SUCCESS = "nothing: FILE_SKIP_COMPLETION_PORT_ON_SUCCESS"


def packet_follows(error: int, status: int, mode: Mode) -> bool:
    """Tell whether a completion packet follows a receive that has just been submitted.

    Args:
      error: 0 if the call succeeded, else its Winsock error code.
      status: the NTSTATUS in the ``OVERLAPPED`` after the call.
      mode: the mode of the socket.

    A message that does not fit is completed inline with a *warning* status: the call reports
    WSAEMSGSIZE, yet the operation has run and its packet is on the way.  Receives of datagrams
    always have room for the largest there can be, so this happens only to control data that is
    larger than expected.
    """
    if not error:
        return mode is Mode.DEFAULT
    if error == _E.WSA_IO_PENDING:
        return True
    overflow = error == _E.WSAEMSGSIZE and status == _S.BUFFER_OVERFLOW
    return overflow and mode is Mode.DEFAULT


class Result(enum.Enum):
    """How a completed receive ended."""

    RECEIVED = enum.auto()
    """The bytes are the result; with none of them, this is the end of the stream."""
    TRUNCATED = enum.auto()
    """The bytes are the beginning of a datagram, the rest of which is lost."""
    CANCELLED = enum.auto()
    """Nothing was received, because Trio cancelled the task."""
    CLOSED = enum.auto()
    """Nothing was received, because we are closing the socket."""
    ABORTED = enum.auto()
    """Nothing was received, and the program did not ask for that: submit the receive again."""
    FAILED = enum.auto()
    """The receive failed with a Winsock error."""
    RECEIVED_THEN_FAILED = enum.auto()
    """The bytes are the result, and the next receive gets the error."""


class Verdict(NamedTuple):
    """The result of a completed receive with what belongs to it."""

    result: Result
    error: int | None = None
    flags: MsgFlag = MsgFlag(0)


#: The verdict of a receive that simply succeeded.
RECEIVED: Final = Verdict(Result.RECEIVED)

# Somebody gave the receive up: by CancelIoEx, or by closing the last handle.
_ABORTS: Final = frozenset({_S.CANCELLED, _S.REQUEST_ABORTED})

# Success, with something to say about the bytes.
_FLAGS: Final[dict[int, MsgFlag]] = {
    _S.RECEIVE_PARTIAL: MsgFlag.MSG_PARTIAL,
    _S.RECEIVE_EXPEDITED: MsgFlag.MSG_OOB,
    _S.RECEIVE_PARTIAL_EXPEDITED: MsgFlag.MSG_PARTIAL | MsgFlag.MSG_OOB,
}

#: The Winsock error of each completion status that is one; of all others it is WSAEINVAL.
STATUS_ERRORS: Final[dict[int, WinsockError]] = {
    **{status: status.error for status in NtStatus if status.error is not None},
    # The one Win32 error that Winsock decodes where a status carries one.
    **dict.fromkeys((0x800703E4, 0xC00103E4, 0xC00703E4), _E.WSA_IO_INCOMPLETE),
}


def error_of_status(status: int) -> WinsockError:
    """Return the Winsock error of a completion status whose severity is warning or error."""
    return STATUS_ERRORS.get(status, _E.WSAEINVAL)


def judge(status: int, nbytes: int, *, cancelling: bool, closing: bool) -> Verdict:
    """Say how a completed receive ended.

    Args:
      status: the NTSTATUS, ``OVERLAPPED.Internal``.
      nbytes: the number of bytes in the buffers, ``OVERLAPPED.InternalHigh``.
      cancelling: whether Trio asked for cancellation before the packet came.
      closing: whether the socket was closed before the packet came.

    Bytes that have arrived are never given up, whatever the status says and whatever was asked.
    """
    if status >> 30 < 2:  # the severities success and informational
        return Verdict(Result.RECEIVED, flags=_FLAGS.get(status, MsgFlag(0)))
    if status == _S.BUFFER_OVERFLOW:
        return Verdict(Result.TRUNCATED, _E.WSAEMSGSIZE, MsgFlag.MSG_TRUNC)
    if status in _ABORTS:
        if nbytes:
            return RECEIVED
        if closing:
            return Verdict(Result.CLOSED)
        if cancelling:
            return Verdict(Result.CANCELLED)
        return Verdict(Result.ABORTED)
    if nbytes:
        return Verdict(Result.RECEIVED_THEN_FAILED, error_of_status(status))
    if closing:
        return Verdict(Result.CLOSED)
    return Verdict(Result.FAILED, error_of_status(status))


# What POSIX calls the codes that have another name there, or none in the errno module.
_ERRNO_NAMES: Final = {
    _E.WSA_OPERATION_ABORTED: "ECANCELED",
    _E.WSA_IO_INCOMPLETE: "EINVAL",
    _E.WSA_IO_PENDING: "EINPROGRESS",
    _E.WSAEDISCON: "ENOTCONN",
    _E.WSANOTINITIALISED: "ENETDOWN",
}


def os_error(error: int, text: str) -> OSError:
    """Build the `OSError` that Python itself raises for a Winsock error code.

    Python chooses the subclass (`ConnectionResetError`, say) from the code.  Off Windows, where
    it knows no Windows codes, it chooses from the ``errno`` that corresponds, and ``winerror`` is
    an ordinary attribute.
    """
    if sys.platform == "win32":
        return OSError(None, text, None, int(error))
    try:
        code = WinsockError(error)
    except ValueError:
        number = errno.EINVAL
    else:
        name = _ERRNO_NAMES.get(code, code.name.removeprefix("WSA"))
        number = getattr(errno, name)
    exception = OSError(number, text)
    exception.winerror = int(error)  # type: ignore[attr-defined,unused-ignore]
    return exception
