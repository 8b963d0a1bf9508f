"""What is asked of Trio and its completion port.

A socket's file object can be associated with one completion port in its life.  By default, a
receive that succeeds inline queues a packet, as one that waits does.  In skip mode, that is with
``FILE_SKIP_COMPLETION_PORT_ON_SUCCESS``, it queues none.  The mode cannot be unset, and duplicates
of the handle share it, so it is only for sockets that nobody else has had.

Trio dequeues the packets and wakes the task that waits for each by the address of its
``OVERLAPPED``.  It cannot go on when a packet comes that no task waits for.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import trio

from .._winsock import calls
from .._winsock.operation import Operation, State

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import NoReturn

_ERROR_INVALID_PARAMETER: Final = 87
_SKIP_ON_SUCCESS: Final = 1  # FILE_SKIP_COMPLETION_PORT_ON_SUCCESS


class CompletionPort(Protocol):
    """What `trio.lowlevel` has on Windows alone, typed on every system."""

    def register_with_iocp(self, handle: int, /) -> None: ...

    def wait_overlapped(self, handle: int, lpOverlapped: int, /) -> Coroutine[Any, None, Any]: ...


completion_port = cast("CompletionPort", trio.lowlevel)


def associate(handle: int) -> bool:
    """Associate a socket with the completion port of the current run.

    Returns:
      Whether Windows did so; it refuses a socket that belongs to another port, or was made without
      overlapped I/O.
    """
    try:
        completion_port.register_with_iocp(handle)
    except OSError as exc:
        if getattr(exc, "winerror", None) != _ERROR_INVALID_PARAMETER:
            raise
        return False
    return True


def skip_on_success(handle: int) -> bool:
    """Set skip mode for a socket; return whether that succeeded."""
    return bool(calls.kernel32.SetFileCompletionNotificationModes(handle, _SKIP_ON_SUCCESS))


def abort(operation: Operation, raise_cancel: Callable[[], NoReturn]) -> trio.lowlevel.Abort:
    """Pass Trio's request to cancel on to the kernel; the packet wakes the task."""
    operation.raise_cancel = raise_cancel
    operation.cancel()
    return trio.lowlevel.Abort.FAILED


def abandon(operation: Operation) -> None:
    """Keep an operation whose packet nobody waits for, and all it holds, for good.

    The kernel may write there until the process has ended, and so after Python has freed its
    objects.  A reference that nobody owns is the one thing that outlives even that.
    """
    operation.state = State.ABANDONED
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(operation))
