"""An operation by itself: what it holds, and which call it makes."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import pytest

from trio_wsarecv._winsock import datagram
from trio_wsarecv._winsock.calls import address_of, ffi
from trio_wsarecv._winsock.datagram import MAX_DATAGRAM, DatagramOperation, overflow_area
from trio_wsarecv._winsock.operation import MIN_RECEIVE_SIZE, Operation, State
from trio_wsarecv._winsock.status import Mode

if TYPE_CHECKING:
    from tests.simulation import Simulation

pytestmark = pytest.mark.usefixtures("simulation")


def test_the_address_of_an_operation_is_that_of_its_overlapped() -> None:
    operation = Operation(1)
    assert operation.address == address_of(operation.overlapped)
    assert operation.state is State.IDLE


@pytest.mark.parametrize("state", [State.SUBMITTED, State.ABANDONED, State.IDLE])
def test_only_what_the_kernel_has_is_cancelled(simulation: Simulation, state: State) -> None:
    sock = simulation.stream()
    operation = Operation(sock.fileno())
    operation.state = state
    operation.cancel()
    assert simulation.events == (["cancel"] if state is State.SUBMITTED else [])


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
    # After that the operation's own buffer is what it receives into.
    operation.wsabuf.buf, operation.wsabuf.len = operation.small, MIN_RECEIVE_SIZE
    assert operation.receive_nonblocking() == 0
    assert ffi.unpack(operation.small, operation.memory.received) == b"ef"


def test_what_a_small_buffer_has_is_moved_when_the_rest_is_drained(simulation: Simulation) -> None:
    sock = simulation.stream()
    operation = Operation(sock.fileno())
    ffi.memmove(operation.small, b"1" * MIN_RECEIVE_SIZE, MIN_RECEIVE_SIZE)
    datagrams = DatagramOperation(sock.fileno(), Mode.DEFAULT)
    block = datagrams.reserve(3000)
    sock.peer.send(b"2" * 10)
    assert operation.drain(block, 2000) == 0
    assert operation.memory.received == 10
    assert (
        ffi.unpack(operation.target, MIN_RECEIVE_SIZE + 10) == b"1" * MIN_RECEIVE_SIZE + b"2" * 10
    )


def test_a_datagram_operation_has_memory_of_its_own_for_what_is_asked_for() -> None:
    operation = DatagramOperation(1, Mode.DEFAULT)
    assert operation.reserve(MIN_RECEIVE_SIZE) == operation.small
    largest = operation.reserve(MAX_DATAGRAM)
    assert operation.reserve(MAX_DATAGRAM) == largest
    assert operation.reserve(MAX_DATAGRAM // 16) == largest
    assert operation.reserve(MAX_DATAGRAM // 16 - 1) != largest


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
