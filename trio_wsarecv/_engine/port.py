"""What is asked of Trio and its completion port.

A socket's file object can be associated with one completion port in its life.  By default, a
receive that succeeds inline queues a packet, as one that waits does.  In skip mode
(``FILE_SKIP_COMPLETION_PORT_ON_SUCCESS``) it queues none.  The mode cannot be unset, and duplicates
of the handle share it, so it is only for sockets that nobody else has had.

Trio dequeues the packets and finds the task that waits for each by the address of its
``OVERLAPPED``.  A packet that no task waits for ends the run.  So between submit and sleep there is
no checkpoint, and what fails there is raised only after the packet has been dequeued.

`trio.lowlevel.wait_overlapped` registers the task and sleeps.  Here it only registers: its
coroutine is driven by hand to where it yields, and closed.  The task then sleeps with an abort
function of this package, for two reasons.  The request to cancel has to be known when the result is
judged.  And if Trio's abort function finds the operation already completed, it posts a packet with
the same address.  That packet may arrive after the task has been woken and has submitted its next
operation there.  The abort function of this package posts nothing.

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
# How often the recovery may itself fail.
_TRIES: Final = 100
_SKIP_ON_SUCCESS: Final = 1  # FILE_SKIP_COMPLETION_PORT_ON_SUCCESS


class CompletionPort(Protocol):
    """What `trio.lowlevel` has on Windows only, typed on every system."""

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
    """Call a function that must not fail with `RecursionError`."""
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(limit + MORE_FRAMES)
        function()
    finally:
        sys.setrecursionlimit(limit)


def sleep_message(abort: Callable[[Callable[[], NoReturn]], Abort]) -> object:
    """Return what `trio.lowlevel.wait_task_rescheduled` yields, for `packet` to yield.

    Args:
      abort: passes a cancellation on to the kernel; the packet wakes the task.
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
      operation: the operation, which the kernel has or has completed.
      task: the current task.
      marker: what the task's ``custom_sleep_data`` is while it sleeps.
      message: what to yield, from `sleep_message`.

    What fails before the task sleeps is raised; then the packet is still to come.
    """
    task.custom_sleep_data = marker  # Trio sets it to None when it wakes the task
    operation.state = State.AWAITED
    try:
        _register(operation)
    except RecursionError:
        # Without a waiter the packet would end the run, and a peer may control the depth of the
        # stack.  What follows needs no more frames than preparing the operation did.
        limit = sys.getrecursionlimit()
        try:
            sys.setrecursionlimit(limit + MORE_FRAMES)
            _register(operation)
        finally:
            sys.setrecursionlimit(limit)
    yield message
    operation.state = State.COMPLETED


async def recover(operation: Operation) -> bool:
    """Sleep until the packet has been dequeued, after something has failed on the way to sleep.

    The operation is cancelled.  If CancelIoEx finds it, its packet follows.  If a signal handler
    has interrupted the call that submits it, Winsock's answer is lost: then the packet is in the
    completion port by now, or there is none.

    Returns:
      Whether the kernel is done with the operation.  If the operation's state still says that it is
      in the kernel, there was no packet, and Trio still has the task registered for its address.
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
    # Trio's function registers the task as the one that waits for the packet, and yields.  It is
    # closed there: what it would do with the result is done by `judge` here.
    waiter = completion_port.wait_overlapped(operation.handle, operation.address)
    try:
        waiter.send(None)
    except trio.BusyResourceError:
        pass  # an attempt that failed later has registered this task
    finally:
        waiter.close()


def abandon(operation: Operation) -> None:
    """Keep an operation whose packet nobody waits for, with all its memory, for good.

    The kernel may write there until the process ends, even after the interpreter has freed its
    objects.  A reference that nobody owns keeps the operation from being freed at all.
    """
    operation.state = State.ABANDONED
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(operation))
