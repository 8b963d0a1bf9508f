"""What is asked of Trio and its completion port.

A socket's file object can be associated with one completion port in its life.  By default, a
receive that succeeds inline queues a packet, as one that waits does.  In skip mode, that is with
``FILE_SKIP_COMPLETION_PORT_ON_SUCCESS``, it queues none.  The mode cannot be unset, and duplicates
of the handle share it, so it is only for sockets that nobody else has had.

Trio dequeues the packets and wakes the task that waits for each by the address of its
``OVERLAPPED``.  It cannot go on when a packet comes that no task waits for.  So between submitting
and sleeping there is no checkpoint, and whatever fails there has to wait until the packet is in.

`trio.lowlevel.wait_overlapped` registers the task and sleeps.  Here it only registers: its
coroutine is driven by hand to where it yields, and closed.  The task then sleeps with an abort
function of ours, for two reasons.  The request to cancel has to be on record when the result is
judged.  And where Trio's abort function finds the operation already completed, it posts a packet of
its own with the same address.  That packet may arrive after the task has been woken and has
submitted its next operation there.  Ours posts nothing.

That is safe as long as Trio registers before it yields for the first time, does nothing when the
coroutine is closed, and reschedules the task, whatever it sleeps in, when the packet comes.
"""

from __future__ import annotations

import ctypes
import sys
import types
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import outcome
import trio

from .._winsock import calls
from .._winsock.operation import Operation, State

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from typing import NoReturn

    from trio.lowlevel import Abort

_ERROR_INVALID_PARAMETER: Final = 87

#: More than Trio needs to register or to wake a task.
MORE_FRAMES: Final = 50
# How often what fails on the way to sleep may fail again.
_TRIES: Final = 100
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


def with_more_frames(function: Callable[[], None]) -> None:
    """Call a function that must not fail for want of stack."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + MORE_FRAMES)
    try:
        function()
    finally:
        sys.setrecursionlimit(limit)


def sleep_message(abort: Callable[[Callable[[], NoReturn]], Abort]) -> object:
    """Return what `trio.lowlevel.wait_task_rescheduled` yields, to be yielded instead of a call.

    Args:
      abort: passes a cancellation on to the kernel, and leaves the waking to the packet.
    """
    sleeper = trio.lowlevel.wait_task_rescheduled(abort)  # noqa: ASYNC105
    try:
        return sleeper.send(None)
    finally:
        sleeper.close()


@types.coroutine
def packet(
    operation: Operation, task: trio.lowlevel.Task, marker: object, message: object
) -> Generator[object, object, None]:
    """Sleep until the packet of a submitted operation has been dequeued.

    Args:
      operation: what the kernel has, or has completed.
      task: the current task.
      marker: what the task's ``custom_sleep_data`` is while it sleeps.
      message: what to yield, from `sleep_message`.

    What fails before the task sleeps is raised, and then the packet is still to come.
    """
    task.custom_sleep_data = marker  # Trio sets it to None when it wakes the task
    operation.state = State.AWAITED
    try:
        _register(operation)
    except RecursionError:
        # Without a waiter the packet would end the run, and a peer may control the depth of the
        # stack.  The rest takes no frames but those that preparing the operation took.
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(limit + MORE_FRAMES)
        try:
            _register(operation)
        finally:
            sys.setrecursionlimit(limit)
    yield message
    operation.state = State.COMPLETED


async def recover(operation: Operation) -> bool:
    """Sleep until the packet has been dequeued, after something has failed on the way to sleep.

    The operation is cancelled.  If cancelling finds it, its packet follows.  Where the call that
    submits it was interrupted by a signal handler, nobody knows what Winsock answered: then its
    packet is in the port by now, or there is none.

    Returns:
      Whether the kernel has done with the operation.  If it is still said to be in the kernel,
      there was no packet, and Trio keeps its address among those that a task waits for.
    """
    for _ in range(_TRIES):
        try:
            await _cancel_and_sleep(operation)
        except GeneratorExit:
            raise
        except BaseException:
            continue  # what failed first is raised
        return True
    return False


@types.coroutine
def _cancel_and_sleep(operation: Operation) -> Generator[object, object, None]:
    task = trio.lowlevel.current_task()
    if operation.state is State.AWAITED and task.custom_sleep_data is None:
        operation.state = State.COMPLETED  # the task was woken, and then something failed
        return
    message = sleep_message(lambda _: trio.lowlevel.Abort.FAILED)
    marker = task.custom_sleep_data = object()

    def give_up() -> None:
        if task.custom_sleep_data is marker:
            trio.lowlevel.reschedule(task, outcome.Value(None))

    with_more_frames(lambda: _register(operation))
    found = calls.kernel32.CancelIoEx(operation.handle, operation.overlapped)
    if found or operation.state is not State.UNKNOWN:
        operation.state = State.AWAITED
    else:
        trio.lowlevel.current_trio_token().run_sync_soon(give_up)
    woken: Any = yield message
    if woken.unwrap() is not None:
        operation.state = State.COMPLETED


def _register(operation: Operation) -> None:
    # Trio's function enters the task as the one that waits for the packet, and yields.  It is left
    # there: what it would do when it is woken is not for us, who judge by the status alone.
    waiter = completion_port.wait_overlapped(operation.handle, operation.address)
    try:
        waiter.send(None)
    except trio.BusyResourceError:
        pass  # this task is entered, by an attempt that failed behind that point
    finally:
        waiter.close()


def abandon(operation: Operation) -> None:
    """Keep an operation whose packet nobody waits for, and all it holds, for good.

    The kernel may write there until the process has ended, and so after Python has freed its
    objects.  A reference that nobody owns is the one thing that outlives even that.
    """
    operation.state = State.ABANDONED
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(operation))
