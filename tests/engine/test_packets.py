"""Whether a completion packet follows a receive: always, but for an inline success in skip mode.

Skip mode is for sockets that the package has made.
"""

from __future__ import annotations

import socket
from typing import Any

import pytest
import trio

from tests.peers import Counted
from tests.receiving import RECEIVES
from tests.simulation import Simulation
from tests.simulation.request import Result
from trio_wsarecv import Socket, SocketFactory, SocketStream, WinsockError, from_stdlib_socket
from trio_wsarecv._install import _patch
from trio_wsarecv._winsock.codes import NtStatus

from .receives import (
    ENGINES,
    arrive,
    both_kinds,
    every_choice,
    expected_of,
    receive_when,
    socket_for,
)
from .scripts import play


@every_choice("always_pends", "inline_iosb", "late_iosb")
@both_kinds
@pytest.mark.parametrize("method", RECEIVES)
async def test_each_receive_is_one_call_and_has_a_packet_unless_it_completes_inline_in_skip_mode(
    simulation: Simulation, made_here: bool, method: str, is_stream: bool
) -> None:
    sock = socket_for(simulation, ENGINES[made_here], is_stream=is_stream)
    expected = expected_of(sock, method, b"data")
    counted = Counted()
    events = ["set modes"] if made_here else []
    for pending in (False, True, False, False, True):
        call = await receive_when(
            simulation, pending, lambda: arrive(sock, b"data"), RECEIVES[method], sock
        )
        assert call.value == expected
        events.append("receive")
        if pending or simulation.behaviour.always_pends or not made_here:
            events.append("dequeue")
        assert simulation.events == events
    pended = 5 if simulation.behaviour.always_pends else 2
    assert (counted.immediate, counted.pended, counted.overlapped) == (5 - pended, pended, 5)


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
    receive = f"begin, complete {'BUFFER_OVERFLOW' if is_message else 'SUCCESS'} data, ."
    for error in REFUSALS:
        script = f"{receive}, refuse {error.name}, begin, {receive}"
        outcome = await play(simulation, sock, script, RECEIVES[method])
        assert outcome.replace("received", "data") == f"data, {error.name}, data"


@every_choice("skip_mode")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNSPEC])
@pytest.mark.parametrize("chain_length", [1, 2])
async def test_skip_mode_is_for_new_ipv4_and_ipv6_sockets_of_a_provider_without_layers(
    simulation: Simulation, made_here: bool, family: socket.AddressFamily, chain_length: int
) -> None:
    sock = simulation.stream(made_here=made_here, family=family)
    sock.peer.chain_length = chain_length
    sock.peer.send(b"data")
    call = await simulation.begin(sock.recv, 100)
    may_skip = made_here and family != socket.AF_UNSPEC and chain_length == 1
    assert call.done is (may_skip and simulation.behaviour.skip_mode)
    await simulation.step()
    assert call.value == b"data"
    assert ("set modes" in simulation.events) is may_skip


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


@pytest.mark.parametrize("ending", ["data", "cancel", "close"])
async def test_other_tasks_run_during_a_flood_of_inline_completions(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    sock = simulation.stream(made_here=True)
    stream = SocketStream(sock)
    monkeypatch.setattr(sock.peer, "take", lambda *_: Result(NtStatus.SUCCESS, b"."))
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
