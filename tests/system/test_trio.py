"""What the package relies on in Trio: a version that behaves differently fails here."""

from __future__ import annotations

import types
from collections.abc import Generator
from typing import Any

import outcome as outcomes
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.peers import stdlib_pair
from tests.simulation import Call
from trio_wsarecv._engine import port
from trio_wsarecv._winsock.calls import address_of
from trio_wsarecv._winsock.operation import Operation

Abort = trio.lowlevel.Abort


@types.coroutine
def yield_to_trio(message: object) -> Generator[object, Any, Any]:
    return (yield message)


async def test_a_task_can_sleep_repeatedly_on_what_wait_task_rescheduled_yields() -> None:
    message = port.sleep_message(lambda _: pytest.fail("it is not cancelled"))

    async def sleep() -> list[str]:
        return [(await yield_to_trio(message)).unwrap() for _ in range(2)]

    async with trio.open_nursery() as nursery:
        call = Call(nursery, sleep)
        await wait_all_tasks_blocked()
        (task,) = nursery.child_tasks
        for value in ("one", "two"):
            assert not call.done
            trio.lowlevel.reschedule(task, outcomes.Value(value))
            await wait_all_tasks_blocked()
    assert call.value == ["one", "two"]


async def test_cancellation_calls_the_abort_function_of_such_a_sleep() -> None:
    task = trio.lowlevel.current_task()

    def abort(raise_cancel: Any) -> trio.lowlevel.Abort:
        # The task is woken by the packet alone.
        trio.lowlevel.reschedule(task, outcomes.Value(raise_cancel))
        return Abort.FAILED

    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.cancel()
        raise_cancel = (await yield_to_trio(port.sleep_message(abort))).unwrap()
        with pytest.raises(trio.Cancelled):
            raise_cancel()


async def test_rescheduling_a_task_clears_its_sleep_data() -> None:
    async def sleep() -> None:
        trio.lowlevel.current_task().custom_sleep_data = "asleep"
        await trio.lowlevel.wait_task_rescheduled(lambda _: Abort.SUCCEEDED)

    for how in ("reschedule", "cancel"):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sleep)
            await wait_all_tasks_blocked()
            (task,) = nursery.child_tasks
            assert task.custom_sleep_data == "asleep"
            trio.lowlevel.reschedule(task) if how == "reschedule" else nursery.cancel_scope.cancel()
            assert task.custom_sleep_data is None


@pytest.mark.windows
async def test_wait_overlapped_registers_the_task_before_it_yields() -> None:
    with stdlib_pair() as (sock, other):
        assert port.associate(sock.fileno())
        operation = Operation(sock.fileno())
        operation.set_memory(100, 0)
        for _ in range(2):
            assert operation.submit()  # it is pending
            waiter: Any = port.completion_port.wait_overlapped(sock.fileno(), operation.address)
            waiter.send(None)
            waiter.close()
            again: Any = port.completion_port.wait_overlapped(sock.fileno(), operation.address)
            with pytest.raises(trio.BusyResourceError):
                again.send(None)
            other.send(b"data")
            # The packet wakes the task, which does not sleep in wait_overlapped itself.
            info = (await yield_to_trio(port.sleep_message(lambda _: Abort.FAILED))).unwrap()
            assert address_of(info.lpOverlapped) == operation.address
            assert operation.unpack(4) == b"data"
