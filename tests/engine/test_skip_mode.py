"""Skip mode: a socket made by the package gets no packet for a receive that completes inline."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import trio

from tests.peers import Counted
from tests.receiving import RECEIVES, SENDER, SENDER_ADDRESS, result_of
from tests.simulation import Call, Simulation
from tests.simulation.behaviour import InlineIosb
from tests.simulation.request import Result
from trio_wsarecv import (
    Socket,
    SocketFactory,
    SocketStream,
    from_stdlib_socket,
)
from trio_wsarecv._install import _patch
from trio_wsarecv._winsock.codes import NtStatus


@pytest.mark.parametrize("inline_iosb", InlineIosb)
@pytest.mark.parametrize("method", [*RECEIVES, "recvfrom_many", "recvmsg_many"])
async def test_receiving_a_datagram_that_has_arrived_needs_no_packet(
    simulation: Simulation, method: str, inline_iosb: InlineIosb
) -> None:
    simulation.behave(inline_iosb=inline_iosb)
    sock = simulation.datagrams(made_here=True)
    counted = Counted()
    for data in (b"data", b"", b"more"):
        sock.peer.send(data, SENDER)
        if method in RECEIVES:
            call = simulation.call(RECEIVES[method], sock)
            expected = result_of(method, data, SENDER_ADDRESS)
        else:
            call = simulation.call(getattr(sock, method), 1, 100)
            of_one = "recvfrom" if method == "recvfrom_many" else "recvmsg"
            expected = [result_of(of_one, data, SENDER_ADDRESS)]
        await simulation.run()
        assert call.value == expected
    assert simulation.events == ["set modes", *["receive"] * 3]
    assert (counted.immediate, counted.pended, counted.overlapped) == (3, 0, 3)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNSPEC])
async def test_only_ipv4_and_ipv6_sockets_have_it(
    simulation: Simulation, family: socket.AddressFamily
) -> None:
    sock = simulation.stream(made_here=True, family=family)
    sock.peer.send(b"data")
    call = await simulation.begin(sock.recv, 100)
    assert call.done is (family != socket.AF_UNSPEC)
    await simulation.step()
    assert call.value == b"data"
    assert ("set modes" in simulation.events) is (family != socket.AF_UNSPEC)


async def test_only_new_sockets_may_have_it() -> None:
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


async def test_it_is_set_once_for_a_socket(simulation: Simulation) -> None:
    sock = simulation.stream(made_here=True)
    other = type(sock)(sock.stdlib)
    for each in (sock, other, sock):
        sock.peer.send(b"data")
        call = await simulation.begin(each.recv, 100)
        assert call.value == b"data"
    assert simulation.events.count("set modes") == 1


def one_byte_at_a_time(capacity: int, flags: int) -> Result:
    return Result(NtStatus.SUCCESS, b".")


@pytest.mark.parametrize("cancelled", [False, True])
async def test_other_tasks_run_during_a_flood_of_inline_completions(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, cancelled: bool
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
        if cancelled and turns == 10:
            exact.scope.cancel()
    received = simulation.events.count("receive")
    if cancelled:
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


def test_in_a_second_run_the_connection_is_received_on_by_readiness(
    simulation: Simulation,
) -> None:
    sock = simulation.stream(made_here=True)

    async def main() -> None:
        async with simulation.nursery() as nursery:
            for waits in (True, False):
                call = Call(nursery, sock.recv, 100)
                if not waits:
                    await simulation.run()
                sock.peer.send(b"data")
                await simulation.step()
                assert call.value == b"data"

    for _ in range(2):
        trio.run(main)
        assert simulation.events == ["set modes", "receive", "receive", "dequeue"]
    simulation.check_quiet()
