"""Error codes of Windows."""

from __future__ import annotations

from trio_wsarecv._winsock.codes import NtStatus, WinsockError

ERROR_INVALID_HANDLE = 6
ERROR_INVALID_PARAMETER = 87
ERROR_NOT_FOUND = 1168

#: The error that a call reports inline for a status.
INLINE_ERRORS: dict[int, WinsockError] = {
    NtStatus.BUFFER_OVERFLOW: WinsockError.WSAEMSGSIZE,
    NtStatus.CONNECTION_RESET: WinsockError.WSAECONNRESET,
    NtStatus.CONNECTION_ABORTED: WinsockError.WSAECONNABORTED,
    NtStatus.PORT_UNREACHABLE: WinsockError.WSAECONNRESET,
    NtStatus.HOPLIMIT_EXCEEDED: WinsockError.WSAENETRESET,
    NtStatus.HOST_UNREACHABLE: WinsockError.WSAEHOSTUNREACH,
    NtStatus.GRACEFUL_DISCONNECT: WinsockError.WSAEDISCON,
}


def is_error(status: int) -> bool:
    """Tell whether a status has the severity "error"."""
    return status >> 30 == 3


class ThreadBlocked(Exception):
    """The call blocks the thread until something arrives, and nothing can arrive meanwhile."""
