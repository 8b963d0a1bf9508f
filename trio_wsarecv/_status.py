"""What an outcome of Winsock means: every decision of the overlapped engine, and no I/O.

A receive has two moments at which Windows says how it stands.  When the call returns, its return
value says whether a completion packet will follow; that has to be known exactly, because a packet
that nobody waits for and a wait for a packet that never comes both end the whole `trio.run`.  When
the packet has come, the NTSTATUS and the byte count that the kernel wrote into the ``OVERLAPPED``
say how the receive ended; what the program sees depends besides on whether we had asked the kernel
to cancel it or were closing the socket.
"""

from __future__ import annotations

import enum
import errno
import sys
from contextlib import suppress
from typing import Final, NamedTuple

from ._codes import MsgFlag, NtStatus, WinsockError

_E = WinsockError
_S = NtStatus


def packet_follows(error: int, status: int) -> bool:
    """Tell whether a completion packet follows a receive that has just been submitted.

    Args:
      error: 0 if the call succeeded, else what ``WSAGetLastError`` gave.
      status: ``OVERLAPPED.Internal`` when the call had returned.

    A datagram that does not fit is completed at once with a *warning* status: the call reports
    WSAEMSGSIZE, yet the operation has run and its packet is on the way.  Where the same code was
    reported without an operation behind it, the status is not that warning.
    """
    if error in (0, _E.WSA_IO_PENDING):
        return True
    return error == _E.WSAEMSGSIZE and status == _S.BUFFER_OVERFLOW


class Outcome(enum.Enum):
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
    """Nothing was received, and nobody here asked for that: submit the receive again."""
    FAILED = enum.auto()
    """The receive failed with a Winsock error."""
    RECEIVED_THEN_FAILED = enum.auto()
    """The bytes are the result, and the next receive gets the error."""


class Verdict(NamedTuple):
    """The outcome of a completed receive with what belongs to it."""

    outcome: Outcome
    error: WinsockError | None = None
    flags: MsgFlag = MsgFlag(0)


#: The verdict of a receive that simply succeeded.
RECEIVED: Final = Verdict(Outcome.RECEIVED)

# The receive was given up by somebody: by CancelIoEx, or by closing the last handle.
_ABORTS: Final = frozenset({_S.CANCELLED, _S.REQUEST_ABORTED, _S.HANDLES_CLOSED})

# Success, with something to say about the bytes.
_FLAGS: Final[dict[int, MsgFlag]] = {
    _S.RECEIVE_PARTIAL: MsgFlag.MSG_PARTIAL,
    _S.RECEIVE_EXPEDITED: MsgFlag.MSG_OOB,
    _S.RECEIVE_PARTIAL_EXPEDITED: MsgFlag.MSG_PARTIAL | MsgFlag.MSG_OOB,
}

#: The Winsock error of each completion status that is one.
STATUS_ERRORS: Final[dict[int, WinsockError]] = {
    _S.BUFFER_OVERFLOW: _E.WSAEMSGSIZE,
    _S.HANDLES_CLOSED: _E.WSA_OPERATION_ABORTED,
    _S.ACCESS_VIOLATION: _E.WSAEFAULT,
    _S.INVALID_HANDLE: _E.WSAENOTSOCK,
    _S.INVALID_PARAMETER: _E.WSAEINVAL,
    _S.INVALID_DEVICE_REQUEST: _E.WSAEOPNOTSUPP,
    _S.NO_MEMORY: _E.WSAENOBUFS,
    _S.OBJECT_TYPE_MISMATCH: _E.WSAENOTSOCK,
    _S.QUOTA_EXCEEDED: _E.WSAENOBUFS,
    _S.TOO_MANY_PAGING_FILES: _E.WSAENOBUFS,
    _S.INSUFFICIENT_RESOURCES: _E.WSAENOBUFS,
    _S.WORKING_SET_QUOTA: _E.WSAENOBUFS,
    _S.DEVICE_NOT_READY: _E.WSAEWOULDBLOCK,
    _S.PIPE_DISCONNECTED: _E.WSAESHUTDOWN,
    _S.IO_TIMEOUT: _E.WSAETIMEDOUT,
    _S.NOT_SUPPORTED: _E.WSAEOPNOTSUPP,
    _S.UNEXPECTED_NETWORK_ERROR: _E.WSAENETDOWN,
    _S.CANCELLED: _E.WSA_OPERATION_ABORTED,
    _S.COMMITMENT_LIMIT: _E.WSAENOBUFS,
    _S.LOCAL_DISCONNECT: _E.WSAECONNABORTED,
    _S.REMOTE_DISCONNECT: _E.WSAECONNRESET,
    _S.REMOTE_RESOURCES: _E.WSAENOBUFS,
    _S.LINK_FAILED: _E.WSAECONNRESET,
    _S.LINK_TIMEOUT: _E.WSAETIMEDOUT,
    _S.INVALID_CONNECTION: _E.WSAENOTCONN,
    _S.INVALID_ADDRESS: _E.WSAEINVAL,
    _S.INVALID_BUFFER_SIZE: _E.WSAEMSGSIZE,
    _S.CONNECTION_DISCONNECTED: _E.WSAECONNRESET,
    _S.CONNECTION_RESET: _E.WSAECONNRESET,
    _S.CONNECTION_REFUSED: _E.WSAECONNREFUSED,
    _S.GRACEFUL_DISCONNECT: _E.WSAEDISCON,
    _S.CONNECTION_INVALID: _E.WSAENOTCONN,
    _S.NETWORK_UNREACHABLE: _E.WSAENETUNREACH,
    _S.HOST_UNREACHABLE: _E.WSAEHOSTUNREACH,
    _S.PROTOCOL_UNREACHABLE: _E.WSAENETUNREACH,
    _S.PORT_UNREACHABLE: _E.WSAECONNRESET,
    _S.REQUEST_ABORTED: _E.WSAEINTR,
    _S.CONNECTION_ABORTED: _E.WSAECONNABORTED,
}

# A status that is a Win32 error in disguise carries that error's code in its low word.
_WIN32_FACILITY: Final = frozenset({0x8007, 0xC007})


def error_of_status(status: int) -> WinsockError:
    """Return the Winsock error of a completion status whose severity is warning or error."""
    error = STATUS_ERRORS.get(status)
    if error is None and status >> 16 in _WIN32_FACILITY:
        with suppress(ValueError):
            error = WinsockError(status & 0xFFFF)
    return error or _E.WSAEINVAL


def judge(status: int, nbytes: int, *, cancelling: bool, closing: bool) -> Verdict:
    """Say how a completed receive ended.

    Args:
      status: the NTSTATUS, ``OVERLAPPED.Internal``.
      nbytes: the number of bytes in the buffers, ``OVERLAPPED.InternalHigh``.
      cancelling: whether Trio asked for cancellation before the packet came.
      closing: whether the socket was closed before the packet came.

    Bytes that have arrived are never given up, whatever the status says and whatever was asked.
    """
    if status == _S.SUCCESS:
        return RECEIVED
    if status >> 30 < 2:  # the severities success and informational
        return Verdict(Outcome.RECEIVED, flags=_FLAGS.get(status, MsgFlag(0)))
    if status == _S.BUFFER_OVERFLOW:
        return Verdict(Outcome.TRUNCATED, _E.WSAEMSGSIZE, MsgFlag.MSG_TRUNC)
    if status in _ABORTS:
        if nbytes:
            return RECEIVED
        if closing:
            return Verdict(Outcome.CLOSED)
        if cancelling:
            return Verdict(Outcome.CANCELLED)
        return Verdict(Outcome.ABORTED)
    if nbytes:
        return Verdict(Outcome.RECEIVED_THEN_FAILED, error_of_status(status))
    if closing:
        return Verdict(Outcome.CLOSED)
    return Verdict(Outcome.FAILED, error_of_status(status))


# What POSIX calls the codes that have another name there, or none in the errno module.
_ERRNO_NAMES: Final = {
    _E.WSA_OPERATION_ABORTED: "ECANCELED",
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
