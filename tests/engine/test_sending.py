"""Sending on the simulation: what goes to the kernel, what waits, and what is known of an end."""

from __future__ import annotations

import itertools
import socket
import struct
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import trio
from trio.testing import assert_checkpoints

from tests.receiving import winerror
from tests.simulation.sending import Sent, sockaddr_in
from trio_wsarecv import WinsockError
from trio_wsarecv._winsock import send as winsock_send
from trio_wsarecv._winsock.parse import lay_out_ancillary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation import Simulation
    from tests.simulation.sockets import SocketOverSimulation

HERE = ("192.0.2.1", 53)
THERE = ("192.0.2.2", 5353)
PKTINFO = (0, 19, socket.inet_aton("192.0.2.9") + struct.pack("<I", 0))
ECN = (0, 50, struct.pack("<i", 2))

IN_A_ROW = 64


def numbered(count: int) -> list[tuple[bytes, Any]]:
    return [(b"%d" % number, HERE if number % 2 else THERE) for number in range(count)]


def sent_by(sock: SocketOverSimulation) -> list[tuple[bytes, Any]]:
    return [(each.data, each.name) for each in sock.peer.outgoing.sent]


def make_room(simulation: Simulation, sock: SocketOverSimulation, room: int | None) -> None:
    sock.peer.outgoing.room = room
    simulation.writers.wake()


# Many datagrams.


@pytest.mark.parametrize("count", [0, 1, 3, IN_A_ROW, IN_A_ROW + 1, 200])
async def test_datagrams_are_sent_in_order_and_counted(simulation: Simulation, count: int) -> None:
    sock = simulation.datagrams()
    with assert_checkpoints():
        assert await sock.sendto_many(iter(numbered(count))) == count
    assert sent_by(sock) == numbered(count)


async def test_what_was_received_can_be_sent_as_it_is(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    for number in range(5):
        sock.peer.send(b"%d" % number, sockaddr_in(b"\xc0\0\2\1", 53))
    simulation.deliver_automatically()
    batch = await sock.recvfrom_many(9, 100)
    assert await sock.sendto_many(batch) == 5
    assert sent_by(sock) == batch == [(b"%d" % number, HERE) for number in range(5)]


async def test_without_an_address_it_goes_where_the_socket_is_connected_to(
    simulation: Simulation,
) -> None:
    sock = simulation.datagrams()
    assert await sock.sendto_many([(b"one", None), (b"two", HERE), (b"", None)]) == 3
    assert [(each.call, each.data) for each in sock.peer.outgoing.sent] == [
        ("send", b"one"),
        ("sendto", b"two"),
        ("send", b""),
    ]


async def test_where_the_system_takes_no_more_it_waits_and_goes_on(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    sock.peer.outgoing.room = 2
    call = await simulation.begin(sock.sendto_many, numbered(5))
    for room in (2, 1):
        assert not call.done
        make_room(simulation, sock, room)
        await simulation.run()
    assert call.value == 5
    assert sent_by(sock) == numbered(5)


@pytest.mark.parametrize("first", [0, 3])
async def test_what_was_sent_before_an_error_is_known_and_the_rest_can_be_sent(
    simulation: Simulation, first: int
) -> None:
    sock = simulation.datagrams()
    sock.peer.outgoing.refusals.extend([None] * first + [WinsockError.WSAEHOSTUNREACH])
    datagrams = numbered(5)
    with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
        await sock.sendto_many(datagrams)
    assert winerror(caught.value) == WinsockError.WSAEHOSTUNREACH
    sent = caught.value.sent  # type: ignore[attr-defined]
    assert sent == first
    assert await sock.sendto_many(datagrams[sent + 1 :]) == 4 - first
    assert sent_by(sock) == datagrams[:first] + datagrams[first + 1 :]


async def test_one_that_is_too_large_is_an_error(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    datagrams = [(b"fits", HERE), (bytes(65508), HERE), (bytes(65507), HERE)]
    with pytest.raises(OSError, match=r".") as caught:
        await sock.sendto_many(datagrams)
    assert winerror(caught.value) == WinsockError.WSAEMSGSIZE
    assert caught.value.sent == 1  # type: ignore[attr-defined]
    assert await sock.sendto_many(datagrams[2:]) == 1


async def test_other_tasks_have_their_turn(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    seen = [0]

    async def look() -> None:
        while seen[-1] < 1000:
            seen.append(len(sock.peer.outgoing.sent))
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        assert await sock.sendto_many(numbered(1000)) == 1000
    # In each round Trio lets every task run once, in any order.
    assert max(after - before for before, after in itertools.pairwise(seen)) <= 2 * IN_A_ROW


class Turns(trio.abc.Instrument):
    """Counts the turns of a task."""

    def __init__(self) -> None:
        self.count = 0
        self._task = trio.lowlevel.current_task()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += task is self._task


@pytest.mark.parametrize(("datagrams", "turns"), [(0, 1), (1, 1), (64, 1), (65, 2), (129, 3)])
async def test_a_turn_is_given_no_more_often_than_that(
    simulation: Simulation, datagrams: int, turns: int
) -> None:
    sock = simulation.datagrams()
    count = Turns()
    trio.lowlevel.add_instrument(count)
    await sock.sendto_many(numbered(datagrams))
    trio.lowlevel.remove_instrument(count)
    assert count.count == turns


async def test_an_interrupt_does_not_come_in_the_middle(simulation: Simulation) -> None:
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
        assert caught.value.sent == 0  # type: ignore[attr-defined]
        raise caught.value
    assert scope.cancelled_caught
    assert sent_by(sock) == []
    assert list(datagrams) == numbered(3)


async def test_cancelled_in_the_middle_it_says_how_many_were_sent(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    sock.peer.outgoing.room = 7
    call = await simulation.begin(sock.sendto_many, numbered(20))
    call.scope.cancel()
    await simulation.run()
    assert call.cancelled
    assert call.error.sent == 7  # type: ignore[attr-defined]
    assert sent_by(sock) == numbered(7)


async def test_a_cancellation_is_seen_between_two_turns(simulation: Simulation) -> None:
    sock = simulation.datagrams()

    def until_it_is_cancelled(scope: trio.CancelScope) -> Iterator[tuple[bytes, Any]]:
        for number in range(1000):
            if number == 100:
                scope.cancel()
            yield b"data", HERE

    with trio.CancelScope() as scope:
        with pytest.raises(trio.Cancelled) as caught:
            await sock.sendto_many(until_it_is_cancelled(scope))
        raise caught.value
    assert caught.value.sent == len(sent_by(sock)) == 2 * IN_A_ROW  # type: ignore[attr-defined]


async def test_the_last_turn_is_not_cancelled(simulation: Simulation) -> None:
    sock = simulation.datagrams()

    def cancelling(scope: trio.CancelScope) -> Iterator[tuple[bytes, Any]]:
        scope.cancel()
        yield b"data", HERE

    with trio.CancelScope() as scope:
        assert await sock.sendto_many(cancelling(scope)) == 1
    assert not scope.cancelled_caught


async def test_closed_while_it_waits_it_says_so(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    sock.peer.outgoing.room = 1
    call = await simulation.begin(sock.sendto_many, numbered(3))
    sock.close()
    await simulation.run()
    assert isinstance(call.error, trio.ClosedResourceError)
    assert call.error.sent == 1  # type: ignore[attr-defined]


async def test_closed_while_a_receive_waits_too_both_end(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    sock.peer.outgoing.room = 0
    receive = await simulation.begin(sock.recvfrom, 100)
    sending = await simulation.begin(sock.sendto_many, numbered(3))
    sock.close()
    await simulation.step()
    assert isinstance(sending.error, trio.ClosedResourceError)
    assert isinstance(receive.error, trio.ClosedResourceError)


async def test_closed_between_two_datagrams_it_is_no_socket(simulation: Simulation) -> None:
    sock = simulation.datagrams()

    def closing() -> Iterator[tuple[bytes, Any]]:
        yield b"data", HERE
        sock.close()
        yield b"data", HERE

    with pytest.raises(OSError, match=r".") as caught:
        await sock.sendto_many(closing())
    assert winerror(caught.value) == WinsockError.WSAENOTSOCK
    assert caught.value.sent == 1  # type: ignore[attr-defined]


@attrs.frozen
class FrozenError(Exception):
    """One that takes no attributes."""


@pytest.mark.parametrize("error", [ZeroDivisionError, FrozenError, MemoryError])
async def test_what_the_program_raises_passes_through(
    simulation: Simulation, error: type[Exception]
) -> None:
    sock = simulation.datagrams()

    def failing() -> Iterator[tuple[bytes, Any]]:
        yield from numbered(2)
        raise error

    with assert_checkpoints(), pytest.raises(error) as caught:
        await sock.sendto_many(failing())
    assert getattr(caught.value, "sent", 2) == 2
    assert len(sent_by(sock)) == 2


@pytest.mark.parametrize(
    "address",
    [("example.org", 53), ("localhost", 53), ("", 53), ("127.1", 53), ("::1", 53), ("<any>", 53)],
)
async def test_a_name_is_refused_and_not_resolved(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, address: Any
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", pytest.fail)
    sock = simulation.datagrams()
    with pytest.raises(ValueError, match="numeric") as caught:
        await sock.sendto_many([(b"data", HERE), (b"data", address)])
    assert repr(address[0]) in str(caught.value)
    assert caught.value.sent == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("address", [(), "127.0.0.1", 5, b"127.0.0.2", [*HERE], (b"127.0.0.1", 1)])
async def test_an_address_of_another_kind_is_refused(simulation: Simulation, address: Any) -> None:
    sock = simulation.datagrams()
    with pytest.raises(TypeError):
        await sock.sendto_many([(b"data", address)])
    assert sent_by(sock) == []


async def test_an_address_may_be_of_a_class_of_the_programs(simulation: Simulation) -> None:
    class Address(tuple[Any, ...]):
        pass

    sock = simulation.datagrams()
    assert await sock.sendto_many([(b"data", Address(HERE))]) == 1
    with pytest.raises(ValueError, match="numeric"):
        await sock.sendto_many([(b"data", Address(("example.org", 53)))])


async def test_ipv6_has_its_own_addresses(simulation: Simulation) -> None:
    sock = simulation.datagrams(family=socket.AF_INET6)
    address = ("fe80::1", 53, 0, 7)
    assert await sock.sendto_many([(b"data", address), (b"data", ("::ffff:192.0.2.1", 53))]) == 2
    assert sent_by(sock)[0] == (b"data", address)
    with pytest.raises(ValueError, match=r"192\.0\.2\.1"):
        await sock.sendto_many([(b"data", HERE)])


async def test_a_stream_has_no_datagrams_to_send(simulation: Simulation) -> None:
    with pytest.raises(ValueError, match="stream"):
        await simulation.stream().sendto_many([])


async def test_two_tasks_cannot_wait_to_send(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    sock.peer.outgoing.room = 0
    first = await simulation.begin(sock.sendto_many, numbered(1))
    with pytest.raises(trio.BusyResourceError) as caught:
        await sock.sendto_many(numbered(1))
    assert caught.value.sent == 0  # type: ignore[attr-defined]
    make_room(simulation, sock, None)
    await simulation.run()
    assert first.value == 1


# Messages.


async def test_a_stream_is_sent_by_one_call_as_much_as_there_is_room_for(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    buffers: list[Any] = [b"01", bytearray(b"23"), memoryview(b"45"), b"", b"67"]
    with assert_checkpoints():
        assert await sock.sendmsg(buffers) == 8
    sock.peer.outgoing.room = 5
    assert await sock.sendmsg(iter(buffers)) == 5
    assert sock.peer.outgoing.sent == [Sent("WSASend", b"01234567"), Sent("WSASend", b"01234")]


async def test_nothing_is_sent_as_nothing(simulation: Simulation) -> None:
    for sock in (simulation.stream(), simulation.datagrams()):
        for buffers in ([], [b""], [b"", b""]):
            assert await sock.sendmsg(buffers) == 0
        assert sock.peer.outgoing.sent == [Sent("WSASend", b"")] * 3


async def test_a_datagram_goes_by_the_call_that_it_needs(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    name = sockaddr_in(b"\xc0\0\2\1", 53)
    control = lay_out_ancillary([PKTINFO, ECN])
    parts = [b"da", b"ta"]
    assert await sock.sendmsg(parts) == 4
    assert await sock.sendmsg(parts, [], 4, HERE) == 4
    assert await sock.sendmsg(parts, [PKTINFO, ECN], 0, HERE) == 4
    assert await sock.sendmsg(parts, iter([PKTINFO, ECN]), -1) == 4
    assert sock.peer.outgoing.sent == [
        Sent("WSASend", b"data"),
        Sent("WSASendTo", b"data", name, flags=4),
        Sent("WSASendMsg", b"data", name, control),
        Sent("WSASendMsg", b"data", b"", control, 0xFFFFFFFF),
    ]


async def test_an_ipv6_address_is_that_of_windows(simulation: Simulation) -> None:
    sock = simulation.datagrams(family=socket.AF_INET6)
    await sock.sendmsg([b"data"], [], 0, ("fe80::1", 53, 5, 7))
    name = (
        struct.pack("<H", 23) + struct.pack("!HI", 53, 5) + bytes.fromhex("fe80" + "0" * 27 + "1")
    )
    assert sock.peer.outgoing.sent == [Sent("WSASendTo", b"data", name + struct.pack("<I", 7))]


async def test_the_function_is_asked_for_once(simulation: Simulation) -> None:
    for _ in range(2):
        sock = simulation.datagrams()
        for _ in range(2):
            await sock.sendmsg([b"data"], [ECN], 0, HERE)
    assert len(simulation.ws2_32.ioctls) == 1


async def test_without_ancillary_data_nothing_depends_on_wsasendmsg(simulation: Simulation) -> None:
    simulation.behave(message_faults=True)
    sock = simulation.datagrams()
    assert await sock.sendmsg([b"data"]) == 4
    assert await sock.sendmsg([b"data"], (), 0, HERE) == 4
    with pytest.raises(OSError, match=r".") as caught:
        await sock.sendmsg([b"data"], [ECN], 0, HERE)
    assert winerror(caught.value) == WinsockError.WSAEFAULT


async def test_a_stream_has_no_ancillary_data_to_send(simulation: Simulation) -> None:
    sock = simulation.stream()
    with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
        await sock.sendmsg([b"data"], [ECN])
    assert winerror(caught.value) == WinsockError.WSAEOPNOTSUPP
    assert sock.peer.outgoing.sent == []


async def test_a_message_waits_until_there_is_room(simulation: Simulation) -> None:
    sock = simulation.stream()
    sock.peer.outgoing.room = 0
    buffer = bytearray(b"data")
    call = await simulation.begin(sock.sendmsg, [buffer])
    assert not call.done
    buffer += b", and more"  # which nothing prevents meanwhile
    make_room(simulation, sock, 3)
    await simulation.run()
    assert call.value == 3
    make_room(simulation, sock, None)
    assert await sock.sendmsg([memoryview(buffer)[3:]]) == 11
    data = [each.data for each in sock.peer.outgoing.sent]
    assert data == [b"dat", b"a, and more"]


async def test_a_message_that_waits_can_be_cancelled_and_has_no_effect(
    simulation: Simulation,
) -> None:
    sock = simulation.datagrams()
    sock.peer.outgoing.room = 0
    call = await simulation.begin(sock.sendmsg, [b"data"], [ECN], 0, HERE)
    call.scope.cancel()
    await simulation.run()
    assert call.cancelled
    with trio.CancelScope() as scope:
        scope.cancel()
        sock.peer.outgoing.room = None
        await sock.sendmsg([b"data"])
    assert scope.cancelled_caught
    assert sock.peer.outgoing.sent == []


async def test_a_message_on_a_socket_that_is_closed(simulation: Simulation) -> None:
    sock = simulation.stream()
    sock.peer.outgoing.room = 0
    call = await simulation.begin(sock.sendmsg, [b"data"])
    sock.close()
    await simulation.run()
    assert isinstance(call.error, trio.ClosedResourceError)
    with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
        await sock.sendmsg([b"data"])
    assert winerror(caught.value) == WinsockError.WSAENOTSOCK


async def test_buffers_are_given_back_whatever_comes_of_it(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    good = bytearray(b"data")
    await sock.sendmsg([good])
    good.append(0)
    sock.peer.outgoing.refusals.append(WinsockError.WSAECONNRESET)
    with pytest.raises(ConnectionResetError):
        await sock.sendmsg([good])
    good.append(0)
    bad: list[Any] = [None, 5, "text", memoryview(b"strided")[::2]]
    for buffer in bad:
        with assert_checkpoints(), pytest.raises((TypeError, BufferError, ValueError)):
            await sock.sendmsg([good, buffer])
        good.append(0)
    assert len(sock.peer.outgoing.sent) == 1


async def test_a_name_is_resolved_as_by_trios_own_sendto(simulation: Simulation) -> None:
    asked: list[Any] = []

    class Resolver(trio.abc.HostnameResolver):
        async def getaddrinfo(self, *arguments: Any) -> Any:
            asked.append(arguments)
            await trio.lowlevel.checkpoint()
            address = ("2001:db8::1", 53, 0, 0) if len(asked) > 1 else HERE
            return [(None, None, 0, "", address), (None, None, 0, "", ("another", 1))]

        async def getnameinfo(self, *arguments: Any) -> Any:
            raise NotImplementedError

    trio.socket.set_custom_hostname_resolver(Resolver())
    sock = simulation.datagrams()
    await sock.sendmsg([b"data"], (), 0, ("name.invalid", 53))
    assert sock.peer.outgoing.sent == [Sent("WSASendTo", b"data", sockaddr_in(b"\xc0\0\2\1", 53))]
    assert asked == [(b"name.invalid", 53, sock.family, sock.type, 0, 0)]
    six = simulation.datagrams(family=socket.AF_INET6)
    await six.sendmsg([b"data"], (), 0, ("name.invalid", 53, 0, 7))
    (sent,) = six.peer.outgoing.sent
    assert sent.name.endswith(struct.pack("<I", 7))
    with pytest.raises(ValueError, match="null"):  # before anybody is asked
        await sock.sendmsg([b"data"], (), 0, ("name\0invalid", 53))


async def test_no_host_is_this_one(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    await sock.sendmsg([b"data"], (), 0, ("", 53))
    assert sock.peer.outgoing.sent == [Sent("WSASendTo", b"data", sockaddr_in(b"\x7f\0\0\1", 53))]


@pytest.mark.parametrize(("buffers", "given"), [(1, 1), (1024, 1024), (1025, 1), (5000, 1)])
async def test_more_buffers_than_a_call_is_given_are_joined(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, buffers: int, given: int
) -> None:
    counts = []
    wsasend = simulation.ws2_32.WSASend

    def counting(s: int, wsabufs: Any, count: int, *rest: Any) -> int:
        counts.append(count)
        return wsasend(s, wsabufs, count, *rest)

    monkeypatch.setattr(simulation.ws2_32, "WSASend", counting)
    for sock in (simulation.stream(), simulation.datagrams()):
        parts = [b"%04d" % number for number in range(buffers)]
        assert await sock.sendmsg(iter(parts)) == 4 * buffers
        assert [each.data for each in sock.peer.outgoing.sent] == [b"".join(parts)]
    assert counts == [given, given]


async def test_more_than_a_call_can_count_is_sent_in_parts(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winsock_send, "_MAX_SEND", 7)
    sock = simulation.stream()
    assert await sock.sendmsg([b"0123", b"4567", b"89"]) == 7
    assert await sock.sendmsg([b"7", b"89"]) == 3
    assert [each.data for each in sock.peer.outgoing.sent] == [b"0123456", b"789"]


BAD: dict[str, tuple[tuple[Any, ...], type[Exception]]] = {
    "buffers None": ((None,), TypeError),
    "buffers int": ((5,), TypeError),
    "bytes": ((b"data",), TypeError),
    "a text": (("data",), TypeError),
    "ancillary data None": (([b"data"], None), TypeError),
    "ancillary data of two": (([b"data"], [(1, 2)]), TypeError),
    "flags None": (([b"data"], (), None), TypeError),
    "flags 2**31": (([b"data"], (), 1 << 31), OverflowError),
    "an address in words": (([b"data"], (), 0, "127.0.0.1"), TypeError),
    "an address without port": (([b"data"], (), 0, ("127.0.0.1",)), TypeError),
    "a port 2**16": (([b"data"], (), 0, ("127.0.0.1", 1 << 16)), OverflowError),
    "five": (([b"data"], (), 0, None, 0), TypeError),
    "none": ((), TypeError),
}


@pytest.mark.parametrize(("arguments", "error"), BAD.values(), ids=BAD)
async def test_bad_arguments_of_a_message_send_nothing(
    simulation: Simulation, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    sock: Any = simulation.datagrams()
    with pytest.raises(error):
        await sock.sendmsg(*arguments)
    assert sock.peer.outgoing.sent == []
