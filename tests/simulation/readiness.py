"""Trio's waiting for a socket to become readable, or writable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import outcome
import trio

from trio_wsarecv._winsock.codes import WinsockError

from .kernel import Kernel


class Waiters:
    """The tasks that wait for sockets to become ready.

    Args:
      kernel: the kernel.
      is_ready: tells whether a socket is.
    """

    def __init__(self, kernel: Kernel, is_ready: Callable[[Any], bool]) -> None:
        self._kernel = kernel
        self._is_ready = is_ready
        self._of_each_run = trio.lowlevel.RunVar[dict[Any, trio.lowlevel.Task]]("simulated waiters")

    @property
    def _tasks(self) -> dict[Any, trio.lowlevel.Task]:
        if not trio.lowlevel.in_trio_run():
            return {}
        tasks = self._of_each_run.get({})
        self._of_each_run.set(tasks)
        return tasks

    async def wait(self, sock: Any) -> None:
        tasks = self._tasks
        if sock in tasks:
            raise trio.BusyResourceError("another task is already reading / writing this fd")
        if sock.fileno() == -1:
            raise self._kernel.error(WinsockError.WSAENOTSOCK)
        if self._is_ready(sock):
            await trio.lowlevel.checkpoint()
            return
        tasks[sock] = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            del tasks[sock]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def wake(self) -> None:
        for sock in [sock for sock in self._tasks if self._is_ready(sock)]:
            trio.lowlevel.reschedule(self._tasks.pop(sock))

    def notify_closing(self, sock: Any) -> None:
        task = self._tasks.pop(sock, None)
        if task is not None:
            error = trio.ClosedResourceError("another task closed this fd")
            trio.lowlevel.reschedule(task, outcome.Error(error))
