"""An operation by itself; tests/engine shows the rest in receives."""

from __future__ import annotations

import itertools
import weakref
from functools import partial

import pytest

from tests.simulation import Simulation
from trio_wsarecv import MsgFlag
from trio_wsarecv._winsock import datagram
from trio_wsarecv._winsock.calls import ffi
from trio_wsarecv._winsock.datagram import MAX_DATAGRAM, DatagramOperation
from trio_wsarecv._winsock.operation import Operation, State
from trio_wsarecv._winsock.status import Asked, Mode

pytestmark = pytest.mark.usefixtures("simulation")


@pytest.mark.parametrize("state", State)
def test_only_an_operation_that_the_kernel_has_or_may_have_is_cancelled(
    simulation: Simulation, state: State
) -> None:
    sock = simulation.stream()
    operation = Operation(sock.fileno())
    operation.state = state
    operation.cancel()
    is_ours = state in (State.IDLE, State.COMPLETED, State.ABANDONED)
    assert operation.is_in_kernel is not is_ours
    assert simulation.events == ([] if is_ours else ["cancel"])


def test_flags_are_set_before_every_call_even_if_there_are_none() -> None:
    # The last call may have left others there.
    buffer = bytearray(10)
    for operation in (Operation(1), DatagramOperation(1, Mode.DEFAULT)):
        for set_room in (
            partial(operation.set_memory, 10),
            partial(operation.set_buffer, buffer, 0, 10),
            partial(operation.set_buffers, [buffer], 0, 10),
        ):
            for flags in (MsgFlag.MSG_PARTIAL, 0):
                operation.memory.flags = 0xFFFF
                set_room(flags)
                assert operation.memory.flags == flags
                operation.release()


@pytest.mark.parametrize("state", State)
def test_the_first_of_two_requests_to_end_an_operation_counts(
    simulation: Simulation, state: State
) -> None:
    sock = simulation.stream()
    for first, second in itertools.permutations((Asked.CANCEL, Asked.CLOSE)):
        operation = Operation(sock.fileno())
        operation.state = state
        operation.ask(first)
        operation.ask(second)
        assert operation.asked is (first if operation.is_in_kernel else None)


def test_the_overflow_area_lives_as_long_as_the_operation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # At its exit, the interpreter drops the module's own reference.
    area = ffi.new("char[]", MAX_DATAGRAM)
    alive = weakref.ref(area)
    with monkeypatch.context() as patch:
        patch.setattr(datagram, "overflow_area", area)
        operation = DatagramOperation(1, Mode.DEFAULT)
    del area
    assert alive() is not None
    del operation
    assert alive() is None
