"""What the answers of Winsock mean: every decision of the overlapped engine, and no I/O.

Windows reports on a receive twice.  When the call returns, its return value tells whether a
completion packet will follow.  That has to be known exactly: a packet that no task waits for ends
the whole `trio.run`, and a task that waits for a packet that never comes hangs.  When the packet
has been dequeued, the NTSTATUS and the byte count in the ``OVERLAPPED`` tell how the receive ended.
What the program sees also depends on what was requested meanwhile: to cancel the receive, or to
close the socket.
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
    """What the completion port gets for a receive that succeeds before its call returns."""

    DEFAULT = "a packet is queued, as for one that waits"
    SKIP_ON_SUCCESS = "nothing: FILE_SKIP_COMPLETION_PORT_ON_SUCCESS"


def packet_follows(error: int, status: int, mode: Mode) -> bool:
    """Return whether a completion packet follows a receive that has just been submitted.

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


class Asked(enum.Enum):
    """What was requested first while the kernel had a receive."""

    CANCEL = enum.auto()
    """Trio cancelled the task."""
    CLOSE = enum.auto()
    """The socket was closed."""


class Result(enum.Enum):
    """How a completed receive ended."""

    RECEIVED = enum.auto()
    """The bytes are the result; with none of them, this is the end of the stream."""
    TRUNCATED = enum.auto()
    """The bytes are the beginning of a datagram, the rest of which is lost."""
    CANCELLED = enum.auto()
    """Nothing was received, because Trio cancelled the task.  The next receive gets the error."""
    CLOSED = enum.auto()
    """Nothing was received, because the socket was closed."""
    ABORTED = enum.auto()
    """Nothing was received, and that was not requested: submit the receive again."""
    FAILED = enum.auto()
    """The receive failed with a Winsock error."""
    RECEIVED_THEN_FAILED = enum.auto()
    """The bytes are the result, and the next receive gets the error, if there is one."""


class Verdict(NamedTuple):
    """The result of a completed receive with what belongs to it."""

    result: Result
    error: int | None = None
    flags: MsgFlag = MsgFlag(0)


#: The verdict of a receive that simply succeeded.
RECEIVED: Final = Verdict(Result.RECEIVED)

#: How a receive ends that has received nothing, by what was requested.
_ENDS: Final = {Asked.CANCEL: Result.CANCELLED, Asked.CLOSE: Result.CLOSED, None: Result.ABORTED}

# The receive was aborted: by CancelIoEx, or by closing the last handle.
_ABORTS: Final = frozenset({_S.CANCELLED, _S.REQUEST_ABORTED})

# Success, with flags.
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


def judge(status: int, nbytes: int, *, asked: Asked | None, is_stream: bool) -> Verdict:
    """Return how a completed receive ended.

    Args:
      status: the NTSTATUS, ``OVERLAPPED.Internal``.
      nbytes: the number of bytes in the buffers, ``OVERLAPPED.InternalHigh``.
      asked: what was requested before the packet was dequeued; of two requests, the first.
      is_stream: whether no bytes mean the end of a stream, not an empty datagram.

    Data that has arrived is never given up, whatever the status is and whatever was requested.
    Without data the request decides: the end of a stream, and an error of the connection, are
    still there for the next receive.
    """
    if status >> 30 < 2:  # the severities success and informational
        if asked and is_stream and not nbytes:
            return Verdict(_ENDS[asked])
        return Verdict(Result.RECEIVED, flags=_FLAGS.get(status, MsgFlag(0)))
    if status == _S.BUFFER_OVERFLOW:
        return Verdict(Result.TRUNCATED, _E.WSAEMSGSIZE, MsgFlag.MSG_TRUNC)
    if status in _ABORTS:
        return RECEIVED if nbytes else Verdict(_ENDS[asked])
    error = error_of_status(status)
    later = None if error == _E.WSAENOBUFS else error  # the next one may have memory
    if nbytes:
        return Verdict(Result.RECEIVED_THEN_FAILED, later)
    if asked is Asked.CLOSE:
        return Verdict(Result.CLOSED)
    if asked is Asked.CANCEL:
        return Verdict(Result.CANCELLED, later)
    return Verdict(Result.FAILED, error)


# The POSIX names of the codes whose name differs there.
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
        return OSError(0, text, None, int(error), None)
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
