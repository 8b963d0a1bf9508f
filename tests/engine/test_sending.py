"""`Socket.sendto_many` on the simulation: what is sent, when it waits, and how it fails."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, NamedTuple

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import assert_checkpoints

from tests.receiving import AfterFirstStep
from tests.simulation import Simulation, simulated_winsock
from tests.simulation.sending import sockaddr_in
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import WinsockError

from .sendable import HERE, buffers, no_addresses, no_buffers

THERE = ("192.0.2.2", 5353)
IN_A_ROW = 64  # datagrams that are sent before other tasks run


def numbered(count: int) -> list[tuple[bytes, Any]]:
    return [(b"%d" % number, HERE if number % 2 else THERE) for number in range(count)]


def sent_by(sock: SocketOverSimulation) -> list[tuple[bytes, Any]]:
    return [(each.data, each.name) for each in sock.peer.outgoing.sent]


@pytest.mark.parametrize(("count", "turns"), [(0, 1), (1, 1), (64, 1), (65, 2), (129, 3)])
async def test_datagrams_are_sent_in_order_and_others_run_after_64_in_a_row(
    simulation: Simulation, count: int, turns: int
) -> None:
    sock = simulation.datagrams()
    counter = AfterFirstStep(lambda: None, trio.lowlevel.current_task())
    trio.lowlevel.add_instrument(counter)
    with assert_checkpoints():
        assert await sock.sendto_many(iter(numbered(count))) == count
    trio.lowlevel.remove_instrument(counter)
    assert sent_by(sock) == numbered(count)
    assert counter.steps == turns


async def test_a_received_batch_can_be_sent_as_it_is(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    for number in range(5):
        sock.peer.send(b"%d" % number, sockaddr_in(b"\xc0\0\2\1", 53))
    simulation.deliver_automatically()
    batch = await sock.recvfrom_many(9, 100)
    assert await sock.sendto_many(batch) == 5
    assert sent_by(sock) == batch == [(b"%d" % number, HERE) for number in range(5)]


async def test_without_an_address_a_datagram_goes_to_the_connected_peer(
    simulation: Simulation,
) -> None:
    sock = simulation.datagrams()
    assert await sock.sendto_many([(b"one", None), (b"two", HERE), (b"", None)]) == 3
    calls = [(each.call, each.data) for each in sock.peer.outgoing.sent]
    assert calls == [("send", b"one"), ("sendto", b"two"), ("send", b"")]


async def test_keyboard_interrupts_are_deferred_while_it_sends(simulation: Simulation) -> None:
    def protected(item: Any) -> Iterator[Any]:
        assert trio.lowlevel.currently_ki_protected()
        yield item

    sock = simulation.datagrams()
    assert await sock.sendto_many(protected((b"data", HERE))) == 1
    assert await sock.sendmsg(protected(b"data")) == 4


async def test_cancelled_before_it_begins_it_takes_nothing(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    datagrams = iter(numbered(3))
    with trio.CancelScope() as scope:
        scope.cancel()
        with pytest.raises(trio.Cancelled) as caught:
            await sock.sendto_many(datagrams)
        raise caught.value
    assert caught.value.sent == 0  # type: ignore[attr-defined]
    assert list(datagrams) == numbered(3)


@pytest.mark.parametrize(("count", "sent"), [(1, 1), (1000, 2 * IN_A_ROW)])
async def test_a_cancellation_is_seen_between_two_turns_and_not_after_the_last_datagram(
    simulation: Simulation, count: int, sent: int
) -> None:
    sock = simulation.datagrams()

    def cancelling() -> Iterator[tuple[bytes, Any]]:
        for number, each in enumerate(numbered(count)):
            if number in (count - 1, 100):
                scope.cancel()
            yield each

    with trio.CancelScope() as scope:
        assert await sock.sendto_many(cancelling()) == count
    assert scope.cancelled_caught is (sent < count)
    assert len(sent_by(sock)) == sent


async def test_closing_the_socket_ends_a_send_and_a_receive_that_wait(
    simulation: Simulation,
) -> None:
    sock = simulation.datagrams()
    sock.peer.outgoing.room = 1
    receive = await simulation.begin(sock.recvfrom, 100)
    sending = await simulation.begin(sock.sendto_many, numbered(3))
    sock.close()
    await simulation.step()
    assert isinstance(receive.error, trio.ClosedResourceError)
    assert isinstance(sending.error, trio.ClosedResourceError)
    assert sending.error.sent == 1  # type: ignore[attr-defined]


async def test_a_second_task_cannot_wait_to_send(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    sock.peer.outgoing.room = 0
    first = await simulation.begin(sock.sendto_many, numbered(1))
    with pytest.raises(trio.BusyResourceError) as caught:
        await sock.sendto_many(numbered(1))
    assert caught.value.sent == 0  # type: ignore[attr-defined]
    sock.peer.outgoing.room = None
    simulation.writers.wake()
    await simulation.run()
    assert first.value == 1


class Address(tuple[Any, ...]):
    """An address of a class of the program's."""


NAMES = [("example.org", 53), ("localhost", 53), ("", 53), ("127.1", 53), ("::1", 53), Address("n")]
NO_TUPLES: list[Any] = [(), "127.0.0.1", 5, b"127.0.0.2", [*HERE], (b"127.0.0.1", 1)]


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        *((name, ValueError, repr(name[0]) + " is not a numeric") for name in NAMES),
        *((address, TypeError, r".") for address in NO_TUPLES),
    ],
)
async def test_only_numeric_addresses_are_taken_and_no_name_is_resolved(
    simulation: Simulation,
    monkeypatch: pytest.MonkeyPatch,
    address: Any,
    error: type[Exception],
    message: str,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", pytest.fail)
    sock = simulation.datagrams()
    with assert_checkpoints(), pytest.raises(error, match=message) as caught:
        await sock.sendto_many([(b"data", Address(HERE)), (b"data", address)])
    assert caught.value.sent == 1  # type: ignore[attr-defined]


async def test_an_ipv6_socket_takes_ipv6_addresses(simulation: Simulation) -> None:
    sock = simulation.datagrams(family=socket.AF_INET6)
    address = ("fe80::1", 53, 0, 7)
    assert await sock.sendto_many([(b"data", address), (b"data", ("::ffff:192.0.2.1", 53))]) == 2
    assert sent_by(sock)[0] == (b"data", address)
    with pytest.raises(ValueError, match=r"192\.0\.2\.1"):
        await sock.sendto_many([(b"data", HERE)])


class Step(NamedTuple):
    """What a generator of datagrams does next."""

    what: str
    value: Any = None


async def test_a_stream_has_no_datagrams_to_send(simulation: Simulation) -> None:
    with pytest.raises(ValueError, match="datagrams"):
        await simulation.stream().sendto_many([(b"data", None)])


class OwnError(Exception):
    """One of the program's."""


@attrs.frozen
class FrozenError(Exception):
    """One that takes no attributes."""


class StubbornError(Exception):
    """One that answers attributes with an error of its own."""

    def __setattr__(self, name: str, value: object) -> None:
        raise OSError(name)


REFUSE_ATTRIBUTES = (FrozenError, StubbornError)
REFUSALS = (WinsockError.WSAEHOSTUNREACH, WinsockError.WSAECONNRESET, WinsockError.WSAENOBUFS)
steps = st.one_of(
    buffers.map(lambda data: Step("send", (data, HERE))),
    buffers.map(lambda data: Step("send", (data, None))),
    st.sampled_from([1, 63, 64, 65, 200]).map(lambda count: Step("many", count)),
    no_buffers.map(lambda data: Step("bad", (data, HERE))),
    no_addresses.map(lambda address: Step("bad", (b"data", address))),
    st.sampled_from([None, 5, b"data", (), (b"data",), (b"data", HERE, 0)]).map(
        lambda item: Step("bad", item)
    ),
    st.sampled_from(REFUSALS).map(lambda code: Step("refuse", code)),
    st.sampled_from([Step("too large"), Step("cancel"), Step("close")]),
    st.sampled_from([OwnError, FrozenError, StubbornError, MemoryError]).map(
        lambda error: Step("raise", error)
    ),
    st.integers(0, 3).map(lambda room: Step("fill", room)),
)


class Sending:
    """A call of `sendto_many` with a generator that follows a plan.

    Attributes:
      good: the data of the datagrams that can be sent.
      expected: what the current step may end the call with: types, and Winsock errors.
    """

    def __init__(self, sock: SocketOverSimulation) -> None:
        self.sock = sock
        self.scope = trio.CancelScope()
        self.good: list[bytes] = []
        self.expected: tuple[Any, ...] = ()

    def datagrams(self, plan: list[Step]) -> Iterator[Any]:
        outgoing = self.sock.peer.outgoing
        for what, value in plan:
            match what:
                case "send":
                    yield from self._good(value)
                case "many":
                    yield from self._good(*((b"%d" % number, HERE) for number in range(value)))
                case "bad":
                    self.expected = (TypeError, ValueError, OverflowError, BufferError)
                    yield value
                case "refuse":
                    outgoing.refusals.append(value)
                    self.expected = (value,)
                    yield b"refused", HERE
                case "too large":
                    self.expected = (WinsockError.WSAEMSGSIZE,)
                    yield bytes(65508), HERE
                case "raise":
                    self.expected = (value,)
                    raise value
                case "cancel":
                    self.scope.cancel()
                case "close":
                    self.sock.close()
                case "fill":
                    outgoing.room = value

    def _good(self, *datagrams: tuple[Any, Any]) -> Iterator[Any]:
        for data, address in datagrams:
            self.expected = ()
            self.good.append(bytes(data))
            yield data, address

    def is_expected(self, error: BaseException) -> bool:
        if isinstance(error, trio.Cancelled):
            return self.scope.cancel_called
        code = getattr(error, "winerror", None)
        if self.sock.fileno() == -1 and code == WinsockError.WSAENOTSOCK:
            return True
        types = tuple(each for each in self.expected if isinstance(each, type))
        return code in self.expected or isinstance(error, types)


@given(plan=st.lists(steps, max_size=8), seed=st.integers(0, 99))
async def test_however_a_call_ends_it_tells_how_many_were_sent(plan: list[Step], seed: int) -> None:
    with simulated_winsock(seed) as simulation:
        sock = simulation.datagrams()
        outgoing = sock.peer.outgoing
        sending = Sending(sock)

        async def make_room() -> None:
            while True:
                await trio.testing.wait_all_tasks_blocked()
                outgoing.room = 2
                simulation.writers.wake()

        count = -1
        error: BaseException | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(make_room)
            with sending.scope:
                try:
                    count = await sock.sendto_many(sending.datagrams(plan))
                except BaseException as exc:
                    error = exc
                    if isinstance(exc, trio.Cancelled):
                        raise
            nursery.cancel_scope.cancel()
        sent = [each.data for each in outgoing.sent]
        assert not error or sending.is_expected(error)
        assert isinstance(error, (FrozenError, StubbornError)) or getattr(
            error, "sent", count
        ) == len(sent)
        assert sent == sending.good[: len(sent)]
        # The call may have ended with the last of the good ones.
        assert len(sending.good) - len(sent) <= 1
        outgoing.room = None
        outgoing.refusals.clear()
        if sock.fileno() != -1:
            assert await sock.sendto_many([(b"next", HERE)]) == 1
