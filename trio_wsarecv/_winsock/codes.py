"""Winsock's error codes, receive flags and NTSTATUS values.

Values and names are those of ``winerror.h``, ``winsock2.h`` and ``ntstatus.h``.
"""

from __future__ import annotations

import enum
from typing import Final


class WinsockError(enum.IntEnum):
    """The error codes that the documentation of ``WSARecv`` and its relatives names.

    The value of each is the ``winerror`` of the `OSError` that a Trio program sees.

    Source: ``WSARecv``, ``WSARecvFrom`` and ``WSARecvMsg``, *Return value*.
    """

    WSA_OPERATION_ABORTED = 995
    WSA_IO_INCOMPLETE = 996
    WSA_IO_PENDING = 997
    WSAEINTR = 10004
    WSAEACCES = 10013
    WSAEFAULT = 10014
    WSAEINVAL = 10022
    WSAEWOULDBLOCK = 10035
    WSAEINPROGRESS = 10036
    WSAENOTSOCK = 10038
    WSAEMSGSIZE = 10040
    WSAEOPNOTSUPP = 10045
    WSAEADDRINUSE = 10048
    WSAEADDRNOTAVAIL = 10049
    WSAENETDOWN = 10050
    WSAENETUNREACH = 10051
    WSAENETRESET = 10052
    WSAECONNABORTED = 10053
    WSAECONNRESET = 10054
    WSAENOBUFS = 10055
    WSAEISCONN = 10056
    WSAENOTCONN = 10057
    WSAESHUTDOWN = 10058
    WSAETIMEDOUT = 10060
    WSAECONNREFUSED = 10061
    WSAEHOSTDOWN = 10064
    WSAEHOSTUNREACH = 10065
    WSANOTINITIALISED = 10093
    WSAEDISCON = 10101


_NAMES: Final = {int(code): code.name for code in WinsockError}


def name_of(code: int) -> str:
    """Return the name of a Winsock error code, or Python's text for an unknown one."""
    return _NAMES.get(code, f"Windows Error 0x{code:x}")


class MsgFlag(enum.IntFlag):
    """The flags that a receive takes and returns, with Winsock's values.

    ``MSG_TRUNC``, ``MSG_CTRUNC``, ``MSG_BCAST`` and ``MSG_MCAST`` are only returned.

    Source: ``WSARecv``, *lpFlags*, and ``WSAMSG``, *dwFlags*.
    """

    MSG_OOB = 0x1
    MSG_PEEK = 0x2
    MSG_WAITALL = 0x8
    MSG_PUSH_IMMEDIATE = 0x20
    MSG_PARTIAL = 0x8000
    MSG_TRUNC = 0x100
    MSG_CTRUNC = 0x200
    MSG_BCAST = 0x400
    MSG_MCAST = 0x800


class NtStatus(enum.IntEnum):
    """The NTSTATUS values of ``OVERLAPPED.Internal`` that mean something to a receive.

    Each comes with its Winsock error; None if it is no error.  A status that is not in this list
    is WSAEINVAL.
    """

    error: WinsockError | None

    def __new__(cls, value: int, error: WinsockError | None) -> NtStatus:
        """Make a member."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.error = error
        return member

    SUCCESS = 0x00000000, None
    PENDING = 0x00000103, None
    RECEIVE_PARTIAL = 0x4000000F, None
    RECEIVE_EXPEDITED = 0x40000010, None
    RECEIVE_PARTIAL_EXPEDITED = 0x40000011, None
    BUFFER_OVERFLOW = 0x80000005, WinsockError.WSAEMSGSIZE
    NOT_IMPLEMENTED = 0xC0000002, WinsockError.WSAEOPNOTSUPP
    ACCESS_VIOLATION = 0xC0000005, WinsockError.WSAEFAULT
    PAGEFILE_QUOTA = 0xC0000007, WinsockError.WSAENOBUFS
    INVALID_HANDLE = 0xC0000008, WinsockError.WSAENOTSOCK
    INVALID_PARAMETER = 0xC000000D, WinsockError.WSAEINVAL
    NO_SUCH_DEVICE = 0xC000000E, WinsockError.WSAENETDOWN
    NO_SUCH_FILE = 0xC000000F, WinsockError.WSAENETDOWN
    NO_MEMORY = 0xC0000017, WinsockError.WSAENOBUFS
    CONFLICTING_ADDRESSES = 0xC0000018, WinsockError.WSAENOBUFS
    ACCESS_DENIED = 0xC0000022, WinsockError.WSAEACCES
    BUFFER_TOO_SMALL = 0xC0000023, WinsockError.WSAEFAULT
    OBJECT_TYPE_MISMATCH = 0xC0000024, WinsockError.WSAENOTSOCK
    OBJECT_NAME_NOT_FOUND = 0xC0000034, WinsockError.WSAENETDOWN
    OBJECT_PATH_NOT_FOUND = 0xC000003A, WinsockError.WSAENETDOWN
    SHARING_VIOLATION = 0xC0000043, WinsockError.WSAEADDRINUSE
    QUOTA_EXCEEDED = 0xC0000044, WinsockError.WSAENOBUFS
    TOO_MANY_PAGING_FILES = 0xC0000097, WinsockError.WSAENOBUFS
    INSUFFICIENT_RESOURCES = 0xC000009A, WinsockError.WSAENOBUFS
    WORKING_SET_QUOTA = 0xC00000A1, WinsockError.WSAENOBUFS
    DEVICE_NOT_READY = 0xC00000A3, WinsockError.WSAEWOULDBLOCK
    PIPE_DISCONNECTED = 0xC00000B0, WinsockError.WSAESHUTDOWN
    IO_TIMEOUT = 0xC00000B5, WinsockError.WSAETIMEDOUT
    NOT_SUPPORTED = 0xC00000BB, WinsockError.WSAEOPNOTSUPP
    REMOTE_NOT_LISTENING = 0xC00000BC, WinsockError.WSAECONNREFUSED
    BAD_NETWORK_PATH = 0xC00000BE, WinsockError.WSAENETUNREACH
    NETWORK_BUSY = 0xC00000BF, WinsockError.WSAENETDOWN
    INVALID_NETWORK_RESPONSE = 0xC00000C3, WinsockError.WSAENETDOWN
    UNEXPECTED_NETWORK_ERROR = 0xC00000C4, WinsockError.WSAENETDOWN
    REQUEST_NOT_ACCEPTED = 0xC00000D0, WinsockError.WSAEWOULDBLOCK
    CANCELLED = 0xC0000120, WinsockError.WSA_OPERATION_ABORTED
    COMMITMENT_LIMIT = 0xC000012D, WinsockError.WSAENOBUFS
    LOCAL_DISCONNECT = 0xC000013B, WinsockError.WSAECONNABORTED
    REMOTE_DISCONNECT = 0xC000013C, WinsockError.WSAECONNRESET
    REMOTE_RESOURCES = 0xC000013D, WinsockError.WSAENOBUFS
    LINK_FAILED = 0xC000013E, WinsockError.WSAECONNRESET
    LINK_TIMEOUT = 0xC000013F, WinsockError.WSAETIMEDOUT
    INVALID_CONNECTION = 0xC0000140, WinsockError.WSAENOTCONN
    INVALID_ADDRESS = 0xC0000141, WinsockError.WSAEADDRNOTAVAIL
    INVALID_BUFFER_SIZE = 0xC0000206, WinsockError.WSAEMSGSIZE
    INVALID_ADDRESS_COMPONENT = 0xC0000207, WinsockError.WSAEADDRNOTAVAIL
    TOO_MANY_ADDRESSES = 0xC0000209, WinsockError.WSAENOBUFS
    ADDRESS_ALREADY_EXISTS = 0xC000020A, WinsockError.WSAEADDRINUSE
    CONNECTION_DISCONNECTED = 0xC000020C, WinsockError.WSAECONNRESET
    CONNECTION_RESET = 0xC000020D, WinsockError.WSAECONNRESET
    TRANSACTION_ABORTED = 0xC000020F, WinsockError.WSAECONNABORTED
    CONNECTION_REFUSED = 0xC0000236, WinsockError.WSAECONNREFUSED
    GRACEFUL_DISCONNECT = 0xC0000237, WinsockError.WSAEDISCON
    CONNECTION_ACTIVE = 0xC000023B, WinsockError.WSAEISCONN
    NETWORK_UNREACHABLE = 0xC000023C, WinsockError.WSAENETUNREACH
    HOST_UNREACHABLE = 0xC000023D, WinsockError.WSAEHOSTUNREACH
    PROTOCOL_UNREACHABLE = 0xC000023E, WinsockError.WSAENETUNREACH
    PORT_UNREACHABLE = 0xC000023F, WinsockError.WSAECONNRESET
    REQUEST_ABORTED = 0xC0000240, WinsockError.WSAEINTR
    CONNECTION_ABORTED = 0xC0000241, WinsockError.WSAECONNABORTED
    DATATYPE_MISALIGNMENT_ERROR = 0xC00002C5, WinsockError.WSAEFAULT
    HOST_DOWN = 0xC0000350, WinsockError.WSAEHOSTDOWN
    HOPLIMIT_EXCEEDED = 0xC000A012, WinsockError.WSAECONNRESET
