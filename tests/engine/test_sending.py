"""Sending on the simulation: which call is made, when it waits, how it fails."""

from __future__ import annotations

import array
import socket
import struct
from collections.abc import Iterator
from typing import Any
from unittest.mock import AsyncMock, create_autospec

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import assert_checkpoints

from tests.receiving import AfterFirstStep, winerror
from tests.simulation import Simulation, simulated_winsock
from tests.simulation.sending import Sent, sockaddr_in
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import WinsockError
from trio_wsarecv._winsock import send as winsock_send
from trio_wsarecv._winsock.parse import lay_out_ancillary

HERE, THERE = ("192.0.2.1", 53), ("192.0.2.2", 5353)
NAME = sockaddr_in(b"\xc0\0\2\1", 53)
PKTINFO = (0, 19, socket.inet_aton("192.0.2.9") + struct.pack("<I", 0))
ECN = (0, 50, struct.pack("<i", 2))
CONTROL = lay_out_ancillary([PKTINFO, ECN])

#: Buffers of every kind that can be sent, and what cannot be sent or sent to.
buffers = st.sampled_from([b"", b"data", memoryview(b"+data")[1:], array.array("I", [1, 2])]) | (
    st.binary(min_size=4, max_size=4).map(bytearray)
    | st.binary(min_size=4, max_size=4).map(lambda data: memoryview(data).cast("B", (2, 2)))
)
no_buffers = st.sampled_from([None, 5, 1.5, "text", [], object(), memoryview(b"strided")[::2]])
NO_ADDRESSES: list[Any] = [
    *((), "127.0.0.1", b"127.0.0.1", 5, [*HERE], {}, ("192.0.2.1",), ("192.0.2.1", None)),
    *(("192.0.2.1", -1), ("192.0.2.1", 1 << 16), ("192.0.2.1", 53, 0, 0, 0)),
    *(("", 53), (None, 53), (5, 53), ([], 53), ("::1", 53)),
    *(("192.0.2.1\0", 53), ("\ud800", 53), (b"192.0.2.1", 53)),
]
no_addresses = st.sampled_from(NO_ADDRESSES)


def sent_by(sock: SocketOverSimulation) -> list[tuple[bytes, Any]]:
    return [(each.data, each.name) for each in sock.peer.outgoing.sent]


# Many datagrams.


def numbered(count: int) -> list[tuple[bytes, Any]]:
    return [(b"%d" % number, HERE if number % 2 else THERE) for number in range(count)]


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


async def test_keyboard_interrupts_are_deferred_while_it_sends(simulation: Simulation) -> None:
    def protected(item: Any) -> Iterator[Any]:
        assert trio.lowlevel.currently_ki_protected()
        yield item

    sock = simulation.datagrams()
    assert await sock.sendto_many(protected((b"data", HERE))) == 1
    assert await sock.sendmsg(protected(b"data")) == 4


@pytest.mark.parametrize(
    ("cancelled_at", "count", "sent"),
    [(-1, 3, 0), (0, 1, 1), (100, 1000, 128), (999, 1000, 1000)],
)
async def test_a_cancellation_is_seen_at_the_start_and_after_64_datagrams_only(
    simulation: Simulation, cancelled_at: int, count: int, sent: int
) -> None:
    sock = simulation.datagrams()
    taken = 0

    def cancelling() -> Iterator[tuple[bytes, Any]]:
        nonlocal taken
        for taken, each in enumerate(numbered(count), 1):
            if taken > cancelled_at:
                scope.cancel()
            yield each

    with trio.CancelScope() as scope:
        if cancelled_at < 0:
            scope.cancel()
        assert await sock.sendto_many(cancelling()) == count
    assert scope.cancelled_caught is (sent < count)
    assert len(sent_by(sock)) == sent
    assert taken <= sent + (cancelled_at > 0)


async def test_only_one_task_waits_to_send_and_closing_the_socket_ends_it(
    simulation: Simulation,
) -> None:
    sock = simulation.datagrams()
    sock.peer.outgoing.room = 1
    receive = await simulation.begin(sock.recvfrom, 100)
    sending = await simulation.begin(sock.sendto_many, numbered(3))
    with pytest.raises(trio.BusyResourceError) as caught:
        await sock.sendto_many(numbered(1))
    assert caught.value.sent == 0  # type: ignore[attr-defined]
    with pytest.raises(trio.BusyResourceError):
        await sock.sendmsg([b"data"])
    sock.close()
    await simulation.step()
    assert isinstance(receive.error, trio.ClosedResourceError)
    assert isinstance(sending.error, trio.ClosedResourceError)
    assert sending.error.sent == 1  # type: ignore[attr-defined]
    with assert_checkpoints(), pytest.raises(OSError, match=r".") as not_open:
        await sock.sendmsg([b"data"])
    assert winerror(not_open.value) == WinsockError.WSAENOTSOCK


class Address(tuple[Any, ...]):
    """An address of a class of the program's."""


@pytest.mark.parametrize(
    ("address", "error"),
    [
        *(((name, 53), ValueError) for name in ("example.org", "", "127.1", "::1")),
        (Address(["localhost", 53]), ValueError),
        *((address, TypeError) for address in ((), "127.0.0.1", [*HERE], (b"127.0.0.1", 1))),
    ],
)
async def test_only_numeric_addresses_are_taken_and_no_name_is_resolved(
    simulation: Simulation, address: Any, error: type[Exception]
) -> None:
    sock = simulation.datagrams()
    with assert_checkpoints(), pytest.raises(error) as caught:
        await sock.sendto_many([(b"data", Address(HERE)), (b"data", address)])
    assert caught.value.sent == 1  # type: ignore[attr-defined]
    assert error is TypeError or str(caught.value).startswith(f"{address[0]!r} is not a numeric")
    six = simulation.datagrams(family=socket.AF_INET6)
    assert await six.sendto_many([(b"data", ("fe80::1", 53, 0, 7))]) == 1
    with pytest.raises(ValueError, match=r"192\.0\.2\.1"):
        await six.sendto_many([(b"data", HERE)])


async def test_a_stream_has_neither_datagrams_nor_ancillary_data_to_send(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    with pytest.raises(ValueError, match="datagrams"):
        await sock.sendto_many([(b"data", None)])
    with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
        await sock.sendmsg([b"data"], [ECN])
    assert winerror(caught.value) == WinsockError.WSAEOPNOTSUPP
    assert sent_by(sock) == []


class StubbornError(Exception):
    """One of the program's, which takes no attributes."""

    def __setattr__(self, name: str, value: object) -> None:
        raise OSError(name)


#: What can follow datagrams that are sent: an item, a Winsock error, or an error of the iterable.
failures = st.one_of(
    no_buffers.map(lambda data: (data, HERE)),
    no_addresses.map(lambda address: (b"data", address)),
    st.sampled_from([None, 5, b"data", (), (b"data",), (b"data", HERE, 0)]),
    st.sampled_from([WinsockError.WSAECONNRESET, WinsockError.WSAENOBUFS]),
    st.sampled_from([WinsockError.WSAEMSGSIZE, WinsockError.WSAENOTSOCK]),
    st.sampled_from([StubbornError, MemoryError]),
)


@given(
    good=st.lists(st.tuples(buffers, st.sampled_from([HERE, None])), max_size=5),
    more=st.sampled_from([0, 59, 64, 200]),
    failure=failures,
    room=st.none() | st.integers(0, 3),
    seed=st.integers(0, 99),
)
async def test_however_a_call_fails_it_tells_how_many_were_sent(
    good: list[Any], more: int, failure: Any, room: int | None, seed: int
) -> None:
    good = [*good, *numbered(more)]
    with simulated_winsock() as simulation:
        simulation.behave(seed=seed)
        sock = simulation.datagrams()
        outgoing = sock.peer.outgoing
        outgoing.room = room

        def datagrams() -> Iterator[Any]:
            yield from good
            if isinstance(failure, type):
                raise failure
            if not isinstance(failure, WinsockError):
                yield failure
            elif failure == WinsockError.WSAEMSGSIZE:
                yield bytes(65508), HERE
            elif failure == WinsockError.WSAENOTSOCK:
                sock.close()
                yield b"closed", HERE
            else:
                outgoing.refusals.append(failure)
                yield b"refused", HERE

        async def make_room() -> None:
            while True:
                await trio.testing.wait_all_tasks_blocked()
                outgoing.room = 2
                simulation.writers.wake()

        kind: Any = (TypeError, ValueError, OverflowError, BufferError)
        if isinstance(failure, WinsockError):
            kind = OSError
        elif isinstance(failure, type):
            kind = failure
        async with trio.open_nursery() as nursery:
            nursery.start_soon(make_room)
            with pytest.raises(kind) as caught:
                await sock.sendto_many(datagrams())
            nursery.cancel_scope.cancel()
        assert kind is not OSError or winerror(caught.value) == failure
        if failure is not StubbornError:
            assert caught.value.sent == len(good)
        assert sent_by(sock) == [(bytes(data), address or b"") for data, address in good]


# One message of several buffers.


#: Whether the socket is a stream, the arguments, and what the system is given.
MESSAGES: dict[str, tuple[bool, tuple[Any, ...], Sent]] = {
    "a stream": (
        True,
        ([b"01", bytearray(b"23"), memoryview(b"45"), b"", b"67"],),
        Sent("WSASend", b"01234567"),
    ),
    "nothing": (True, ([],), Sent("WSASend", b"")),
    "empty buffers": (True, ([b"", b""],), Sent("WSASend", b"")),
    "a datagram": (False, ([b"da", b"ta"],), Sent("WSASend", b"data")),
    "an empty datagram": (False, ([b""],), Sent("WSASend", b"")),
    "with an address": (
        False,
        (iter([b"da", b"ta"]), [], 4, HERE),
        Sent("WSASendTo", b"data", NAME, flags=4),
    ),
    "with ancillary data": (
        False,
        ([b"data"], iter([PKTINFO, ECN]), -1),
        Sent("WSASendMsg", b"data", b"", CONTROL, 0xFFFFFFFF),
    ),
    "with both": (
        False,
        ([b"data"], [PKTINFO, ECN], 0, HERE),
        Sent("WSASendMsg", b"data", NAME, CONTROL),
    ),
}


@pytest.mark.parametrize(("is_stream", "arguments", "expected"), MESSAGES.values(), ids=MESSAGES)
async def test_a_message_is_sent_by_the_simplest_call_that_can(
    simulation: Simulation, is_stream: bool, arguments: tuple[Any, ...], expected: Sent
) -> None:
    # Where WSASendMsg is broken, only ancillary data cannot be sent.
    simulation.behave(message_faults=expected.call != "WSASendMsg")
    sock = simulation.stream() if is_stream else simulation.datagrams()
    with assert_checkpoints():
        assert await sock.sendmsg(*arguments) == len(expected.data)
    assert sock.peer.outgoing.sent == [expected]
    simulation.behave(message_faults=True)
    if not is_stream:
        with pytest.raises(OSError, match=r".") as caught:
            await sock.sendmsg([b"data"], [ECN], 0, HERE)
        assert winerror(caught.value) == WinsockError.WSAEFAULT
        assert len(simulation.ws2_32.ioctls) == 1  # the function is asked for once


async def test_a_message_waits_until_there_is_room(simulation: Simulation) -> None:
    sock = simulation.stream()
    sock.peer.outgoing.room = 0
    buffer = bytearray(b"data")
    call = await simulation.begin(sock.sendmsg, [buffer])
    assert not call.done
    buffer += b", and more"  # it is not exported while the task waits
    sock.peer.outgoing.room = 3
    simulation.writers.wake()
    await simulation.run()
    assert call.value == 3
    sock.peer.outgoing.room = None
    assert await sock.sendmsg([memoryview(buffer)[3:]]) == 11
    assert [each.data for each in sock.peer.outgoing.sent] == [b"dat", b"a, and more"]


async def test_a_cancelled_message_has_not_been_sent(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    sock.peer.outgoing.room = 0
    call = await simulation.begin(sock.sendmsg, [b"data"], [ECN], 0, HERE)
    call.scope.cancel()
    await simulation.run()
    assert call.cancelled
    sock.peer.outgoing.room = None
    call = simulation.call(sock.sendmsg, [b"data"])
    call.scope.cancel()
    await simulation.run()
    assert call.cancelled
    assert sock.peer.outgoing.sent == []


async def test_a_message_that_has_been_sent_is_not_cancelled(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = simulation.ws2_32.WSASendTo

    def cancelling(*arguments: Any) -> int:
        scope.cancel()
        return send(*arguments)

    monkeypatch.setattr(simulation.ws2_32, "WSASendTo", cancelling)
    sock = simulation.datagrams()
    with trio.CancelScope() as scope:
        assert await sock.sendmsg([b"data"], (), 0, HERE) == 4
    assert not scope.cancelled_caught


@pytest.mark.parametrize("call", ["sendmsg", "sendto_many"])
async def test_a_send_that_waits_can_be_closed(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    async def wait(_: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(trio.lowlevel, "wait_writable", wait)
    sock = simulation.datagrams()
    sock.peer.outgoing.room = 0
    argument = [b"data"] if call == "sendmsg" else numbered(1)
    sending = getattr(sock, call)(argument)
    sending.send(None)
    sending.close()  # as at the end of a run that has crashed


def resolve(*addresses: tuple[Any, ...]) -> AsyncMock:
    """Have names resolved to these addresses, one after the other; return what is called."""
    resolver: Any = create_autospec(trio.abc.HostnameResolver, instance=True)
    found = [[(0, 0, 0, "", each), (0, 0, 0, "", ("another", 1))] for each in addresses]
    resolver.getaddrinfo.side_effect = [*found, OSError("no such name")]
    trio.socket.set_custom_hostname_resolver(resolver)
    return resolver.getaddrinfo  # type: ignore[no-any-return]


async def test_a_name_is_resolved_as_by_trios_own_sendto(simulation: Simulation) -> None:
    resolver = resolve(HERE, ("2001:db8::1", 53, 0, 0))
    sock = simulation.datagrams()
    await sock.sendmsg([b"data"], (), 0, ("name.invalid", 53))
    assert sock.peer.outgoing.sent == [Sent("WSASendTo", b"data", NAME)]
    resolver.assert_called_once_with(b"name.invalid", 53, sock.family, sock.type, 0, 0)
    six = simulation.datagrams(family=socket.AF_INET6)
    await six.sendmsg([b"data"], (), 0, ("name.invalid", 53, 0, 7))
    (sent,) = six.peer.outgoing.sent
    assert sent.name.endswith(struct.pack("<I", 7))
    with pytest.raises(ValueError, match="null"):  # before the resolver is asked
        await sock.sendmsg([b"data"], (), 0, ("name\0invalid", 53))
    for host, port in (("", 53), (b"127.0.0.1", 53), ("127.0.0.1", "53"), ("<broadcast>", 53)):
        await sock.sendmsg([b"data"], (), 0, (host, port))
    hosts = [each.name[4:8] for each in sock.peer.outgoing.sent[1:]]
    assert hosts == [*3 * [b"\x7f\0\0\1"], b"\xff\xff\xff\xff"]


@pytest.mark.parametrize(("count", "given"), [(1, 1), (1024, 1024), (1025, 1), (5000, 1)])
async def test_more_than_1024_buffers_are_joined(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, count: int, given: int
) -> None:
    counts = []
    wsasend = simulation.ws2_32.WSASend

    def counting(s: int, wsabufs: Any, number: int, *rest: Any) -> int:
        counts.append(number)
        return wsasend(s, wsabufs, number, *rest)

    monkeypatch.setattr(simulation.ws2_32, "WSASend", counting)
    sock = simulation.stream()
    parts = [b"%04d" % number for number in range(count)]
    assert await sock.sendmsg(iter(parts)) == 4 * count
    assert sent_by(sock) == [(b"".join(parts), b"")]
    assert counts == [given]


async def test_more_than_one_call_can_count_is_sent_in_parts(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winsock_send, "_MAX_SEND", 7)
    sock = simulation.stream()
    assert await sock.sendmsg([b"0123", b"4567", b"89"]) == 7
    assert await sock.sendmsg([b"7", b"89"]) == 3
    assert [each.data for each in sock.peer.outgoing.sent] == [b"0123456", b"789"]


odd = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.floats(), st.binary(max_size=3))
numbers = st.integers(-(1 << 33), 1 << 33)
messages = st.one_of(
    st.tuples(numbers, numbers, buffers), st.tuples(odd, odd, odd), st.tuples(odd), odd
)


@given(
    parts=st.one_of(st.lists(st.one_of(buffers, no_buffers), max_size=6), odd),
    ancdata=st.one_of(st.just(()), st.lists(messages, max_size=3), odd),
    flags=st.one_of(st.just(0), numbers, odd),
    address=st.one_of(st.none(), st.just(HERE), no_addresses),
    is_refused=st.booleans(),
)
async def test_a_message_of_anything_is_sent_whole_or_not_at_all(
    parts: Any, ancdata: Any, flags: Any, address: Any, is_refused: bool
) -> None:
    with simulated_winsock() as simulation:
        sock = simulation.datagrams()
        if is_refused:
            sock.peer.outgoing.refusals.append(WinsockError.WSAECONNRESET)
        resolve()
        try:
            nbytes = await sock.sendmsg(parts, ancdata, flags, address)
        except (TypeError, ValueError, OverflowError, BufferError, OSError):
            assert sock.peer.outgoing.sent == []
        else:
            (sent,) = sock.peer.outgoing.sent
            assert sent.data == b"".join(map(bytes, parts))
            assert nbytes == len(sent.data)
            expected = b"" if address is None else NAME
            assert sent.name == expected or address in NO_ADDRESSES  # of which Trio resolves some
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, bytearray):
                part.append(0)  # it is not exported any more
