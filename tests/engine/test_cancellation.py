"""Cancelling, closing and shutting down are requests to the kernel; the completion decides.

Of a cancellation and a close, the first decides; data that has arrived beats both.
"""

from __future__ import annotations

from functools import partial

import pytest
import trio
from trio.testing import assert_checkpoints

from tests.receiving import (
    RECEIVES,
    Receive,
    every_receive,
    winerror,
)
from tests.simulation import CancelAnswer, Simulation
from tests.simulation.behaviour import WINE_HANDLES_CLOSED
from trio_wsarecv import WinsockError
from trio_wsarecv._winsock.codes import NtStatus

from .flows import LARGE, make_flow
from .receives import (
    BATCHES,
    IN_PARTS,
    OF_SOCKET_STREAM,
    both_engines,
    both_kinds,
    every_choice,
    every_engine,
    receive_when,
    socket_for,
    stream_for,
    value_of,
)
from .scripts import play


@every_receive
async def test_a_cancelled_task_submits_nothing(simulation: Simulation, receive: Receive) -> None:
    stream, datagrams = simulation.stream(), simulation.datagrams()
    stream.receiver.pushed_back.add(b"data")
    datagrams.peer.send(b"data")
    for sock in (stream, datagrams):
        with trio.CancelScope() as scope:
            scope.cancel()
            await receive(sock)
        assert scope.cancelled_caught
        assert not simulation.events
        assert await value_of(simulation, sock.recv, 4) == b"data"
        simulation.kernel.log.clear()


@every_engine
@pytest.mark.parametrize(
    ("what", "outcomes"),
    [
        ("data data", ("data", "received")),
        ("end", ("nothing", "received")),
        ("refuse WSAECONNRESET", ("WSAECONNRESET",)),
    ],
)
@every_receive
async def test_what_a_call_finds_at_once_is_not_lost_to_a_cancellation_right_after_it(
    simulation: Simulation, receive: Receive, engine: str, what: str, outcomes: tuple[str, ...]
) -> None:
    sock = stream_for(simulation, engine)
    assert await play(simulation, sock, f"{what}, begin + cancel, .", receive) in outcomes


async def test_a_cancellation_that_comes_too_late_posts_no_packet(simulation: Simulation) -> None:
    # Trio's own abort function would post one with the address of the operation.  By the time it
    # arrives, the task may wait at that address again.
    sock = simulation.stream()
    buffer = bytearray(100)

    async def receive_twice() -> tuple[int, int]:
        first = await sock.recv_into(buffer)
        with trio.CancelScope(shield=True):
            second = await sock.recv_into(buffer)
        return first, second

    call = await simulation.begin(receive_twice)
    sock.peer.send(b"one")
    call.scope.cancel()
    await simulation.step()
    assert len({event.address for event in simulation.kernel.log}) == 1
    assert simulation.in_kernel(sock)
    assert not simulation.port.queue
    sock.peer.send(b"three")
    await simulation.step()
    assert call.value == (3, 5)


@both_kinds
@every_receive
async def test_a_receive_that_was_aborted_by_others_is_repeated(
    simulation: Simulation, receive: Receive, is_stream: bool
) -> None:
    sock = socket_for(simulation, "default mode", is_stream=is_stream)
    # A cancellation is not held against the next receive.  Bytes with an abort are the result.
    script = (
        "begin, cancel, ., begin, complete CANCELLED, ., complete REQUEST_ABORTED, ., "
        "complete CANCELLED data, ."
    )
    outcome = await play(simulation, sock, script, receive)
    assert outcome in ("cancelled, data", "cancelled, received")
    assert simulation.events.count("receive") == 4


@every_choice("cancel", "late_iosb")
async def test_a_cancelled_receive_loses_nothing(simulation: Simulation, made_here: bool) -> None:
    aborted = simulation.behaviour.cancel is CancelAnswer.ABORTED
    for script, outcome in {
        "recv, late, cancel, ., recv, data more, .": "cancelled, more",
        "recv, late, data data, cancel, ., data more, recv, .": (
            "cancelled, datamore" if aborted else "data, more"
        ),
    }.items():
        sock = simulation.stream(made_here=made_here)
        assert await play(simulation, sock, script) == outcome


ORDERS = {
    "close, cancel": "closed",
    "cancel, close": "cancelled",
    "shutdown RD, close": "closed",
    "shutdown RD, cancel": "cancelled",
    "cancel, shutdown RD, close": "cancelled",
}
CALLS: list[tuple[bool, str, Receive]] = [
    *((True, *each) for each in (RECEIVES | OF_SOCKET_STREAM | IN_PARTS).items()),
    *((False, *each) for each in (RECEIVES | BATCHES).items()),
]


@pytest.mark.parametrize("order", ORDERS)
@both_engines
@pytest.mark.parametrize(("is_stream", "how", "receive"), CALLS)
async def test_of_a_cancellation_and_a_closing_in_one_step_the_first_decides(
    simulation: Simulation, is_stream: bool, how: str, receive: Receive, engine: str, order: str
) -> None:
    part = "data part, ., " if how in IN_PARTS else ""
    for late in ("", "late, "):
        sock = socket_for(simulation, engine, is_stream=is_stream)
        script = f"begin, {part}{late}{order}, ."
        assert await play(simulation, sock, script, receive) == ORDERS[order]
        assert sock.peer.handles == ("close" not in order)
        sock.close()
        assert not sock.receiver.pushed_back.something


@pytest.mark.parametrize(
    "script", ["data data, {}, {}", "late, {}, data data, {}", "late, {}, {}, data data"]
)
@pytest.mark.parametrize("order", [("close", "cancel"), ("cancel", "close")])
@both_kinds
@every_receive
async def test_data_beats_a_cancellation_and_a_close(
    simulation: Simulation, receive: Receive, is_stream: bool, order: tuple[str, str], script: str
) -> None:
    simulation.behave(cancel=CancelAnswer.COMPLETES)
    sock = socket_for(simulation, "default mode", is_stream=is_stream)
    outcome = await play(simulation, sock, f"begin, {script.format(*order)}, .", receive)
    assert outcome in ("data", "received")
    assert sock.peer.handles == 0
    assert not sock.receiver.pushed_back.something


STATUSES = [status for status in (*NtStatus, WINE_HANDLES_CLOSED) if status != NtStatus.PENDING]
#: The statuses that the next receive does not report: they are no errors of the connection, or
#: memory was short.
NO_ERRORS = {
    NtStatus.BUFFER_OVERFLOW,
    NtStatus.CANCELLED,
    NtStatus.REQUEST_ABORTED,
    *(status for status in NtStatus if status.error == WinsockError.WSAENOBUFS),
}


@pytest.mark.parametrize("asked", ["cancel", "close", "cancel, close"])
@pytest.mark.parametrize("data", [b"", b"data"])
@both_kinds
@pytest.mark.parametrize("method", ["recv", "recvmsg", "wsarecv"])
async def test_whatever_the_status_only_data_beats_what_was_asked_and_no_error_is_lost(
    simulation: Simulation, method: str, is_stream: bool, data: bytes, asked: str
) -> None:
    receive = RECEIVES[method]
    simulation.behave(prompt=False)
    for status in STATUSES:
        sock = socket_for(simulation, "default mode", is_stream=is_stream)
        call = await simulation.begin(receive, sock)
        for what in asked.split(", "):
            call.scope.cancel() if what == "cancel" else sock.close()
        sock.peer.end(status, data)
        assert sock.peer.handles == 1
        await simulation.step()
        is_error = status >> 30 >= 2
        is_empty_datagram = not is_stream and not data and not is_error
        if data or is_empty_datagram or status == NtStatus.BUFFER_OVERFLOW:
            assert call.succeeded or status == NtStatus.BUFFER_OVERFLOW
        elif asked == "close":
            assert isinstance(call.error, trio.ClosedResourceError)
        else:
            assert call.cancelled
        assert sock.peer.handles == (asked == "cancel")
        if asked == "cancel":
            events = simulation.events
            error = getattr(status, "error", WinsockError.WSAEINVAL)
            if is_error and status not in NO_ERRORS:
                with pytest.raises(OSError, match=r".") as caught:
                    await receive(sock)
                assert winerror(caught.value) == error
                assert simulation.events == events
            # An error is reported once.
            send = partial(sock.peer.send, b"more")
            again = await receive_when(simulation, False, send, receive, sock)
            assert again.succeeded
        assert not sock.receiver.pushed_back.something


# Closing.


@every_choice("late_iosb")
async def test_closing_keeps_the_handle_until_the_packet_is_in(simulation: Simulation) -> None:
    simulation.behave(prompt=False)
    sock = simulation.stream()
    handle = sock.fileno()
    call = await simulation.begin(sock.recv, 100)
    sock.close()
    assert sock.fileno() == -1
    assert simulation.stream().fileno() != handle
    simulation.settle()
    await simulation.run()
    assert sock.peer.handles == 1
    await simulation.step()
    sock.close()
    assert isinstance(call.error, trio.ClosedResourceError)
    assert sock.peer.handles == 0
    ours = [event.what for event in simulation.kernel.log if event.handle == handle]
    assert ours == ["receive", "cancel", "dequeue", "close"]
    assert sock.peer.peer_saw == "end"


CLOSED_EARLY = {"recv": RECEIVES["recv"], **BATCHES, **IN_PARTS}


@pytest.mark.parametrize("closed_first", [True, False])
@pytest.mark.parametrize("how", CLOSED_EARLY)
async def test_a_receive_whose_socket_was_closed_gives_its_data_or_fails_and_leaves_nothing(
    simulation: Simulation, how: str, closed_first: bool
) -> None:
    simulation.behave(prompt=not closed_first)
    is_batch = how.endswith("many")
    sock = socket_for(simulation, "default mode", is_stream=not is_batch)
    call = await simulation.begin(CLOSED_EARLY[how], sock)
    if closed_first:
        sock.close()
        sock.peer.end(NtStatus.CONNECTION_RESET, b"data")
    else:
        sock.peer.send(b"data")
        if is_batch:
            sock.peer.send(b"more")  # which a call on the closed handle would be needed for
        sock.close()
    # The number of the handle may serve another socket soon, whose receive nobody may cancel.
    other = simulation.stream()
    other_call = await simulation.begin(other.recv, 100)
    call.scope.cancel()
    await simulation.step()
    if how in IN_PARTS:
        assert isinstance(call.error, trio.ClosedResourceError)
    else:
        assert call.value in (b"data", [(b"data", None)], [(b"data", [], 0, None)])
    assert sock.peer.handles == 0
    assert not sock.receiver.pushed_back.something
    assert simulation.events.count("receive") == 2
    other.peer.send(b"other")
    await simulation.step()
    assert other_call.value == b"other"


async def test_a_large_receive_notices_a_close(simulation: Simulation, made_here: bool) -> None:
    sock = simulation.stream(made_here=made_here)
    await make_flow(simulation, sock)
    sock.peer.send(bytes(LARGE))
    assert await play(simulation, sock, f"recv {LARGE} + close, .") == "closed"
    assert sock.peer.handles == 0


@both_kinds
async def test_a_close_in_the_same_step_as_a_shutdown_decides(
    simulation: Simulation, is_stream: bool
) -> None:
    sock = socket_for(simulation, "default mode", is_stream=is_stream)
    assert await play(simulation, sock, "recv, shutdown RDWR + close, .") == "closed"
    assert sock.peer.handles == 0


ENDS = {
    "ended by the peer": ("recv, end, ., recv, ., recv, .", "nothing, nothing, nothing"),
    "sending side shut down": ("recv, shutdown WR, data data, .", "data"),
    "receiving side shut down": ("recv, shutdown RD, ., recv, .", "WSAESHUTDOWN, WSAESHUTDOWN"),
    "shut down": ("recv, shutdown RDWR, ., recv, .", "WSAESHUTDOWN, WSAESHUTDOWN"),
    "closed, bytes left": ("left data, close, recv", "WSAENOTSOCK"),
    "closed, error left": ("left error, close, recv", "WSAENOTSOCK"),
    "detached, bytes left": ("left data, detach, recv", "WSAENOTSOCK"),
    "detached, error left": ("left error, detach, recv", "WSAENOTSOCK"),
}


@pytest.mark.parametrize(("script", "outcome"), ENDS.values(), ids=ENDS)
async def test_what_receives_see_of_a_connection_that_is_ended_shut_down_or_closed(
    simulation: Simulation, made_here: bool, script: str, outcome: str
) -> None:
    sock = simulation.stream(made_here=made_here)
    assert await play(simulation, sock, script) == outcome
    assert simulation.events.count("cancel") == ("ESHUTDOWN" in outcome)
    assert sock.receiver.pushed_back.something is ("detach" in script)


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("method", RECEIVES | OF_SOCKET_STREAM)
async def test_a_closed_socket_does_not_reach_the_kernel(
    simulation: Simulation, method: str, used: bool
) -> None:
    receive = (RECEIVES | OF_SOCKET_STREAM)[method]
    sock = simulation.stream()
    if used:
        simulation.deliver_automatically()
        sock.peer.send(b"data")
        await receive(sock)
    events = simulation.events
    sock.close()
    assert sock.peer.handles == 0
    for _ in range(2):
        with assert_checkpoints(), pytest.raises((OSError, trio.ClosedResourceError)) as caught:
            await receive(sock)
        error = caught.value if method in RECEIVES else caught.value.__cause__
        assert isinstance(error, OSError)
        assert winerror(error) == WinsockError.WSAENOTSOCK
    assert simulation.events == [*events, "close"]
