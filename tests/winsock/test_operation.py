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
def test_only_an_operation_that_the_kernel_has_is_cancelled_and_the_first_request_counts(
    simulation: Simulation, state: State
) -> None:
    sock = simulation.stream()
    is_ours = state in (State.IDLE, State.COMPLETED, State.ABANDONED)
    for first, second in itertools.permutations((Asked.CANCEL, Asked.CLOSE)):
        operation = Operation(sock.fileno())
        operation.state = state
        operation.cancel()
        operation.ask(first)
        operation.ask(second)
        assert operation.is_in_kernel is not is_ours
        assert operation.asked is (None if is_ours else first)
    assert simulation.events == ([] if is_ours else ["cancel"] * 6)


def test_what_the_last_call_has_left_does_not_come_into_the_next_one() -> None:
    # It may have changed the flags, and an exception may have left its buffers exported.
    buffer = bytearray(10)
    for operation in (Operation(1), DatagramOperation(1, Mode.DEFAULT)):
        for set_room in (
            partial(operation.set_memory, 10),
            partial(operation.set_buffer, buffer, 0, 10),
            partial(operation.set_buffers, [buffer], 0, 10),
        ):
            for flags in (MsgFlag.MSG_PARTIAL, 0):
                left = bytearray(10)
                operation.set_buffer(left, 0, 10, 0xFFFF)
                set_room(flags)
                assert operation.memory.flags == flags
                left.append(0)
                operation.release()


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
