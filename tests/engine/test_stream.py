"""What a program sees on a connection: errors, exact receives, and what is pushed back.

The bytes of a receive that fails begin the next one, and an error that comes with bytes waits.
"""

from __future__ import annotations

import pytest
import trio

from tests.peers import pattern
from tests.receiving import RECEIVES, Receive, every_receive, winerror
from tests.simulation import Simulation
from trio_wsarecv import MsgFlag, SocketStream, wsarecv
from trio_wsarecv._winsock.codes import NtStatus, WinsockError
from trio_wsarecv._winsock.status import os_error

from .receives import OF_SOCKET_STREAM, both_kinds, every_choice, socket_for
from .scripts import play

OOB, PEEK, WAITALL = MsgFlag.MSG_OOB, MsgFlag.MSG_PEEK, MsgFlag.MSG_WAITALL
MIB = 1 << 20

# Errors: on a socket those of the standard library, on a stream those of Trio.


# A receive that lacks memory or was aborted is repeated: test_no_buffers.py, test_cancellation.py.
ABORTS = (NtStatus.CANCELLED, NtStatus.REQUEST_ABORTED)
ERRORS = [
    status
    for status in NtStatus
    if status >> 30 == 3 and status.error != WinsockError.WSAENOBUFS and status not in ABORTS
]


@every_choice("late_iosb")
@pytest.mark.parametrize("status", ERRORS)
@both_kinds
async def test_every_error_is_raised_and_leaves_the_socket_usable(
    simulation: Simulation, status: NtStatus, is_stream: bool
) -> None:
    methods = RECEIVES | OF_SOCKET_STREAM if is_stream else RECEIVES
    sock = socket_for(simulation, "default mode", is_stream=is_stream)
    assert status.error is not None
    for method in methods:
        call = await simulation.begin(methods[method], sock)
        sock.peer.end(status)
        await simulation.step()
        error: BaseException | None = call.error
        if method in OF_SOCKET_STREAM:
            closed = status.error == WinsockError.WSAENOTSOCK
            assert type(error) is (trio.ClosedResourceError if closed else trio.BrokenResourceError)
            error = error.__cause__
        assert type(error) is type(os_error(status.error, ""))
        assert winerror(error) == status.error
        simulation.check_quiet()
    call = await simulation.begin(sock.recv, 5)
    sock.peer.send(b"data!")
    await simulation.step()
    assert call.value == b"data!"


@pytest.mark.parametrize("order", ["reset, begin", "begin, reset"])
@pytest.mark.parametrize("method", RECEIVES | OF_SOCKET_STREAM)
async def test_a_reset_is_the_same_error_before_and_during_a_receive(
    simulation: Simulation, made_here: bool, method: str, order: str
) -> None:
    sock = simulation.stream(made_here=made_here)
    receive = (RECEIVES | OF_SOCKET_STREAM)[method]
    outcome = "WSAECONNRESET" if method in RECEIVES else "broken"
    assert await play(simulation, sock, f"{order}, ., begin, .", receive) == f"{outcome}, {outcome}"


# Exact receives, and what they push back.


FAILURES = {
    "cancelled": (
        "{0} 10, data ab, ., data cd, ., data e, ., cancel, ., recv 2, {0} 5, cancel, ., "
        "{0} 5, cancel, ., {0} 5, data fg, .",
        "cancelled, ab, cancelled, cancelled, cdefg",
    ),
    "refused": (
        "{0} 10, data some, refuse WSAECONNRESET, ., recv, recv, data more, .",
        "WSAECONNRESET, some, more",
    ),
    "reset": (
        "{0} 10, data some, ., reset, ., recv, recv, .",
        "WSAECONNRESET, some, WSAECONNRESET",
    ),
    "an error with bytes": (
        "{0} 10, complete CONNECTION_RESET some, reset, ., recv, recv, .",
        "WSAECONNRESET, some, WSAECONNRESET",
    ),
}


@pytest.mark.parametrize("how", ["exactly", "all"])
@pytest.mark.parametrize(("script", "outcome"), FAILURES.values(), ids=FAILURES)
async def test_a_receive_of_several_parts_loses_nothing_when_it_fails_or_is_cancelled(
    simulation: Simulation, made_here: bool, script: str, outcome: str, how: str
) -> None:
    sock = simulation.stream(made_here=made_here)
    broken = outcome if how == "all" else outcome.replace("WSAECONNRESET", "broken", 1)
    assert await play(simulation, sock, script.format(how)) == broken


@both_kinds
@every_receive
async def test_bytes_that_come_with_an_error_come_first(
    simulation: Simulation, receive: Receive, is_stream: bool
) -> None:
    sock = socket_for(simulation, "default mode", is_stream=is_stream)
    # The error is raised once.
    script = "recv, complete IO_TIMEOUT data, ., begin, recv, data more, ."
    assert await play(simulation, sock, script, receive) == "data, WSAETIMEDOUT, more"


async def test_what_is_pushed_back_last_comes_first(simulation: Simulation) -> None:
    sock = simulation.stream()
    for data in (b"cd", b"ab", b""):
        sock.receiver.pushed_back.add(data)
    assert await sock.recv(10) == b"abcd"


async def test_pushed_back_bytes_can_be_peeked_at_and_need_no_call(simulation: Simulation) -> None:
    sock = simulation.stream()
    sock.receiver.pushed_back.add(b"0123456789")
    buffer = bytearray(3)
    assert await sock.recv(4, PEEK) == b"0123"
    assert await sock.recv_into(buffer, 0, PEEK) == 3
    assert await wsarecv(sock, [buffer, bytearray(3)], PEEK) == (6, 0)
    assert await sock.recv(4) == b"0123"
    assert (await sock.recvfrom(2))[0] == b"45"
    assert (await sock.recvmsg(2))[0] == b"67"
    assert await sock.recv_into(buffer) == 2
    assert buffer == b"892"
    assert not simulation.events


async def test_out_of_band_data_passes_what_was_pushed_back(simulation: Simulation) -> None:
    sock = simulation.stream()
    sock.receiver.pushed_back.add(b"data")
    sock.peer.send_urgent(b"!")
    buffer = bytearray(5)
    assert await wsarecv(sock, [buffer], OOB) == (1, OOB)
    assert buffer == b"!" + bytes(4)
    assert await sock.recv(10) == b"data"


@pytest.mark.parametrize("nbytes", [5, MIB, 5 * MIB + 7])
async def test_exact_receives_grow_as_bytes_come(simulation: Simulation, nbytes: int) -> None:
    sock = simulation.stream()
    expected = pattern(nbytes)
    received = 0
    call = simulation.call(SocketStream(sock).receive_exactly, nbytes)
    while received < nbytes:
        await simulation.run()
        (request,) = sock.peer.requests
        missing = nbytes - received
        assert 0 < request.capacity <= min(missing, max(received, MIB))
        size = min(missing, 700_001)
        sock.peer.send(expected[received : received + size])
        await simulation.step()
        received += size
    is_the_same = call.value == expected  # to show the difference would take minutes
    assert is_the_same


async def test_exact_receives_take_what_was_pushed_back_in_order_and_then_its_error(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    data = pattern(5 * MIB)
    sock.receiver.pushed_back.add(data[: 4 * MIB])
    sock.receiver.pushed_back.defer(ConnectionResetError())
    sock.peer.send(data[4 * MIB :])
    # Each is more than the memory that an exact receive begins with.
    first = await stream.receive_exactly(2 * MIB + 7)
    with pytest.raises(trio.BrokenResourceError):
        await stream.receive_exactly(3 * MIB - 7)
    assert not simulation.events
    second = await stream.receive_exactly(3 * MIB - 7)
    is_the_same = first + second == data
    assert is_the_same


async def test_pushed_back_bytes_are_neither_copied_nor_kept_longer(simulation: Simulation) -> None:
    # Copied each time, 50 MB that are received 4 KiB at a time take minutes.
    sock = simulation.stream()
    sock.receiver.pushed_back.add(b"0123456789")
    memory = memoryview(sock.receiver.pushed_back.data).obj
    assert await sock.recv(4) == b"0123"
    assert memoryview(sock.receiver.pushed_back.data).obj is memory
    assert await sock.recv(100) == b"456789"
    assert memoryview(sock.receiver.pushed_back.data).obj == b""


@pytest.mark.parametrize("left", [b"", b"abcd", b"abcdefgh"])
async def test_recvmsg_on_a_stream_waits_for_all_behind_bytes_pushed_back(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, left: bytes
) -> None:
    monkeypatch.setattr("trio_wsarecv._arguments.MAX_WAITING", 4)  # which is not for this flag
    sock = simulation.stream()
    sock.receiver.pushed_back.add(left)
    sock.peer.send(b"abcdefgh"[len(left) :])
    simulation.deliver_automatically()
    assert await sock.recvmsg(6, 0, WAITALL) == (b"abcdef", [], 0, None)
    assert await sock.recv(6) == b"gh"


async def test_recvmsg_on_a_stream_refuses_unknown_flags(simulation: Simulation) -> None:
    sock = simulation.stream()
    sock.peer.send(b"data")
    call = await simulation.begin(sock.recvmsg, 4, 0, 0x4)
    assert winerror(call.error) == WinsockError.WSAEOPNOTSUPP
    assert sock.peer.waiting == b"data"


async def test_a_message_of_nothing_is_refused_on_a_closed_socket(simulation: Simulation) -> None:
    sock = simulation.stream()
    assert await sock.recvmsg(0) == (b"", [], 0, None)
    sock.close()
    for receive in (sock.recvmsg(0), sock.recvmsg_into([])):
        with pytest.raises(OSError, match=r".") as caught:
            await receive
        assert winerror(caught.value) == WinsockError.WSAENOTSOCK
