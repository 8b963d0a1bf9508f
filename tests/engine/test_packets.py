"""Whether a completion packet follows a receive: always, but for an inline success in skip mode.

Skip mode is for sockets that the package has made.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

import pytest
import trio

from tests.peers import Counted
from tests.receiving import RECEIVES, SENDER_ADDRESS, result_of, winerror
from tests.simulation import Call, Simulation
from tests.simulation.request import Result
from trio_wsarecv import Socket, SocketFactory, SocketStream, WinsockError, from_stdlib_socket
from trio_wsarecv._install import _patch
from trio_wsarecv._winsock.codes import NtStatus

from .arrivals import arrive
from .receives import both_kinds, receive_when, socket_for


@pytest.mark.parametrize("inline_iosb", [True, False])
@pytest.mark.parametrize("mode", ["default mode", "skip mode"])
@both_kinds
@pytest.mark.parametrize("method", RECEIVES)
async def test_each_receive_is_one_call_and_has_a_packet_unless_it_completes_inline_in_skip_mode(
    simulation: Simulation, method: str, is_stream: bool, mode: str, inline_iosb: bool
) -> None:
    simulation.behave(inline_iosb=inline_iosb)
    sock = socket_for(simulation, mode, is_stream=is_stream)
    expected = result_of(method, b"data", None if is_stream else SENDER_ADDRESS)
    counted = Counted()
    events = ["set modes"] if mode == "skip mode" else []
    for pending in (False, True, False, False, True):
        call = await receive_when(
            simulation, pending, lambda: arrive(sock, b"data"), RECEIVES[method], sock
        )
        assert call.value == expected
        events.append("receive")
        if pending or mode == "default mode":
            events.append("dequeue")
        assert simulation.events == events
    assert (counted.immediate, counted.pended, counted.overlapped) == (3, 2, 5)


# One of these means that the receive waits; the other is answered by another call.
NO_REFUSALS = {WinsockError.WSA_IO_PENDING, WinsockError.WSAENOBUFS}
REFUSALS = [error for error in WinsockError if error not in NO_REFUSALS]


@pytest.mark.parametrize("left", [NtStatus.PENDING, None])
@both_kinds
@pytest.mark.parametrize("method", RECEIVES)
async def test_a_receive_that_is_refused_waits_for_nothing(
    simulation: Simulation, method: str, is_stream: bool, left: NtStatus | None
) -> None:
    simulation.behave(left_by_failure=left)
    sock = simulation.stream() if is_stream else simulation.datagrams()
    # A message may leave a status in its operation with which a packet would follow WSAEMSGSIZE.
    is_message = method.startswith("recvmsg") and not is_stream
    status = NtStatus.BUFFER_OVERFLOW if is_message else NtStatus.SUCCESS

    async def receive() -> Call:
        arrive = partial(sock.peer.end, status, b"data")
        return await receive_when(simulation, True, arrive, RECEIVES[method], sock)

    for error in REFUSALS:
        assert (await receive()).succeeded
        sock.peer.refusals.append(error)
        refused = await simulation.begin(RECEIVES[method], sock)
        assert winerror(refused.error) == error
    assert (await receive()).succeeded


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNSPEC])
async def test_only_ipv4_and_ipv6_sockets_have_skip_mode(
    simulation: Simulation, family: socket.AddressFamily
) -> None:
    sock = simulation.stream(made_here=True, family=family)
    sock.peer.send(b"data")
    call = await simulation.begin(sock.recv, 100)
    assert call.done is (family != socket.AF_UNSPEC)
    await simulation.step()
    assert call.value == b"data"
    assert ("set modes" in simulation.events) is (family != socket.AF_UNSPEC)


async def test_only_new_sockets_may_have_skip_mode() -> None:
    with (
        from_stdlib_socket(socket.socket()) as adopted,
        SocketFactory().socket() as made,
        made.dup() as duplicate,
    ):
        assert [sock.receiver.made_here for sock in (made, adopted, duplicate)] == [1, 0, 0]
    _patch(Socket)
    try:
        sockets: list[Any] = [
            trio.socket.socket(),
            trio.socket.from_stdlib_socket(socket.socket()),
            trio.socket.socket(fileno=socket.socket().detach()),
        ]
    finally:
        _patch(Socket.__bases__[-1])
    assert [sock.receiver.made_here for sock in sockets] == [1, 0, 0]
    for sock in sockets:
        sock.close()


def one_byte_at_a_time(capacity: int, flags: int) -> Result:
    return Result(NtStatus.SUCCESS, b".")


@pytest.mark.parametrize("ending", ["data", "cancel", "close"])
async def test_other_tasks_run_during_a_flood_of_inline_completions(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    sock = simulation.stream(made_here=True)
    stream = SocketStream(sock)
    monkeypatch.setattr(sock.peer, "take", one_byte_at_a_time)
    turns = 0
    exact = simulation.call(stream.receive_exactly, 5000)
    while not exact.done:
        await trio.lowlevel.checkpoint()
        turns += 1
        # Other tasks run once in 32 receives, and after the last; Trio chooses the order at
        # random.
        received = simulation.events.count("receive")
        assert exact.done or not received % 32 or received == 5000
        if turns == 10 and ending == "cancel":
            exact.scope.cancel()
        elif turns == 10 and ending == "close":
            sock.close()
    received = simulation.events.count("receive")
    if ending == "close":
        assert isinstance(exact.error, trio.ClosedResourceError)
    elif ending == "cancel":
        assert exact.cancelled
        assert 10 < received < 5000
        assert await stream.receive_exactly(received + 10) == b"." * (received + 10)
    else:
        assert exact.value == b"." * 5000
        assert turns > 10


@pytest.mark.parametrize("how", ["dup", "adopt", "adopt and close"])
async def test_whoever_shares_the_connection_receives_by_readiness(
    simulation: Simulation, how: str
) -> None:
    # They share the mode, which cannot be unset, and the port.
    sock = simulation.stream(made_here=True)
    counted = Counted()
    sock.peer.send(b"data")
    first = await simulation.begin(sock.recv, 2)
    assert first.value == b"da"
    other = sock.dup() if how == "dup" else type(sock)(sock.stdlib.dup())
    if how == "adopt and close":
        sock.close()
    second = await simulation.begin(other.recv, 100)
    assert second.value == b"ta"
    third = await simulation.begin(SocketStream(other).receive_exactly, 4)
    sock.peer.send(b"last")
    await simulation.run()
    assert third.value == b"last"
    assert (counted.overlapped_sockets, counted.readiness_sockets) == (1, 1)
    assert simulation.events.count("receive") == 1
    other.close()
    if how != "adopt and close":
        sock.peer.send(b"more")
        fourth = await simulation.begin(sock.recv, 100)
        assert fourth.value == b"more"
