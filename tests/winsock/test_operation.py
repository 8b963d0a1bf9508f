"""An operation by itself: what it holds, and which call it makes."""

from __future__ import annotations

import itertools
import weakref
from functools import partial
from typing import Any

import pytest

from tests.simulation import Simulation
from trio_wsarecv import MsgFlag
from trio_wsarecv._winsock import datagram
from trio_wsarecv._winsock.calls import address_of, ffi
from trio_wsarecv._winsock.datagram import MAX_DATAGRAM, DatagramOperation, overflow_area
from trio_wsarecv._winsock.operation import MIN_RECEIVE_SIZE, Operation, State
from trio_wsarecv._winsock.status import Asked, Mode

pytestmark = pytest.mark.usefixtures("simulation")


def test_the_address_of_an_operation_is_that_of_its_overlapped() -> None:
    operation = Operation(1)
    assert operation.address == address_of(operation.overlapped)
    assert operation.state is State.IDLE


@pytest.mark.parametrize("state", State)
def test_only_what_the_kernel_has_or_may_have_is_cancelled(
    simulation: Simulation, state: State
) -> None:
    sock = simulation.stream()
    operation = Operation(sock.fileno())
    operation.state = state
    operation.cancel()
    is_ours = state in (State.IDLE, State.COMPLETED, State.ABANDONED)
    assert operation.is_in_kernel is not is_ours
    assert simulation.events == ([] if is_ours else ["cancel"])


def test_a_buffer_is_held_in_place_until_it_is_released() -> None:
    operation = Operation(1)
    buffer = bytearray(10)
    operation.set_buffer(buffer, 0, 10, 0)
    with pytest.raises(BufferError):
        buffer.append(0)
    operation.release()
    buffer.append(0)


def test_several_buffers_are_set_from_an_offset_on_and_up_to_a_size(simulation: Simulation) -> None:
    sock = simulation.stream()
    buffers = [bytearray(b"." * size) for size in (3, 0, 4, 2)]
    operation = Operation(sock.fileno())
    sock.peer.send(b"abcdef")
    for offset, nbytes, sizes in ((0, 100, [3, 0, 4, 2]), (4, 3, [0, 0, 3, 0]), (9, 5, [0] * 4)):
        operation.set_buffers(buffers, offset, nbytes, 0)
        assert operation.room == sum(sizes)
        operation.release()
    operation.set_buffers(buffers, 2, 4, 0)
    assert operation.receive_nonblocking() == 0
    assert operation.memory.received == 4
    operation.release()
    assert b"".join(buffers) == b"..abcd..."
    operation.set_memory(MIN_RECEIVE_SIZE, 0)
    assert operation.receive_nonblocking() == 0
    assert ffi.unpack(operation.small, operation.memory.received) == b"ef"


def test_memory_for_what_is_made_bytes_is_lent_or_the_operations_own() -> None:
    operation = Operation(1)
    operation.set_memory(100, 0)
    assert operation.wsabuf.buf == operation.target == operation.small
    operation.block = ffi.new("char[]", 5000)
    operation.set_memory(4000, 0)
    assert operation.wsabuf.buf == operation.target == operation.block
    assert operation.wsabuf.len == operation.room == 4000


def test_a_datagram_operation_has_memory_of_its_own_for_what_is_asked_for() -> None:
    operation = DatagramOperation(1, Mode.DEFAULT)

    def memory_for(nbytes: int) -> Any:
        operation.set_memory(nbytes, 0)
        assert operation.wsabuf.buf == operation.target
        assert operation.wsabuf.len == operation.room == min(nbytes, MAX_DATAGRAM)
        return operation.target

    assert memory_for(MIN_RECEIVE_SIZE) == operation.small
    largest = memory_for(MAX_DATAGRAM)
    assert memory_for(MAX_DATAGRAM + 1) == largest
    assert memory_for(MAX_DATAGRAM // 16) == largest
    assert memory_for(MAX_DATAGRAM // 16 - 1) != largest


def test_the_flags_of_a_call_are_set_before_it_even_if_there_are_none() -> None:
    # The call before may have left others there.
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


def test_nothing_is_asked_for_behind_the_end_of_a_buffer() -> None:
    buffer = bytearray(10)
    operation = Operation(1)
    operation.set_buffer(buffer, 4, 6, 0)
    operation.release()
    with pytest.raises(ValueError, match="resized"):
        operation.set_buffer(buffer, 4, 7, 0)
    operation.release()
    buffer.append(0)


@pytest.mark.parametrize("state", State)
def test_of_two_requests_to_end_an_operation_the_first_counts(
    simulation: Simulation, state: State
) -> None:
    sock = simulation.stream()
    for first, second in itertools.permutations((Asked.CANCEL, Asked.CLOSE)):
        operation = Operation(sock.fileno())
        operation.state = state
        operation.ask(first)
        operation.ask(second)
        assert operation.asked is (first if operation.is_in_kernel else None)


def test_the_area_for_what_does_not_fit_takes_the_largest_datagram() -> None:
    assert ffi.sizeof(overflow_area) >= 65535


def test_the_area_for_what_does_not_fit_lives_as_long_as_the_operation(
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
