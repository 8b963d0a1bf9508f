"""`Socket.sendmsg` on the simulation: which call it makes, when it waits, and what it refuses."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import assert_checkpoints

from tests.receiving import winerror
from tests.simulation import Simulation, simulated_winsock
from tests.simulation.sending import Sent, sockaddr_in
from trio_wsarecv import WinsockError
from trio_wsarecv._winsock import send as winsock_send
from trio_wsarecv._winsock.parse import lay_out_address, lay_out_ancillary

from .sendable import HERE, buffers, no_addresses, no_buffers

PKTINFO = (0, 19, socket.inet_aton("192.0.2.9") + struct.pack("<I", 0))
ECN = (0, 50, struct.pack("<i", 2))
NAME = sockaddr_in(b"\xc0\0\2\1", 53)


class Resolver(trio.abc.HostnameResolver):
    """Returns these addresses one after the other, then fails; records what was asked."""

    def __init__(self, *addresses: tuple[Any, ...]) -> None:
        self.asked: list[Any] = []
        self._addresses = iter(addresses)
        trio.socket.set_custom_hostname_resolver(self)

    async def getaddrinfo(self, *arguments: Any) -> Any:
        self.asked.append(arguments)
        await trio.lowlevel.checkpoint()
        for address in self._addresses:
            return [(None, None, 0, "", address), (None, None, 0, "", ("another", 1))]
        raise OSError("no such name")

    async def getnameinfo(self, *arguments: Any) -> Any:
        raise NotImplementedError


async def test_a_stream_is_sent_by_one_call_as_far_as_there_is_room(
    simulation: Simulation,
) -> None:
    sock = simulation.stream()
    parts: list[Any] = [b"01", bytearray(b"23"), memoryview(b"45"), b"", b"67"]
    with assert_checkpoints():
        assert await sock.sendmsg(parts) == 8
    sock.peer.outgoing.room = 5
    assert await sock.sendmsg(iter(parts)) == 5
    assert sock.peer.outgoing.sent == [Sent("WSASend", b"01234567"), Sent("WSASend", b"01234")]


async def test_without_bytes_winsock_is_given_an_empty_buffer(simulation: Simulation) -> None:
    for sock in (simulation.stream(), simulation.datagrams()):
        for parts in ([], [b""], [b"", b""]):
            assert await sock.sendmsg(parts) == 0
        assert sock.peer.outgoing.sent == [Sent("WSASend", b"")] * 3


async def test_a_datagram_is_sent_by_the_simplest_call_that_can(simulation: Simulation) -> None:
    control = lay_out_ancillary([PKTINFO, ECN])
    parts = [b"da", b"ta"]
    for _ in range(2):
        sock = simulation.datagrams()
        assert await sock.sendmsg(parts) == 4
        assert await sock.sendmsg(parts, [], 4, HERE) == 4
        assert await sock.sendmsg(parts, [PKTINFO, ECN], 0, HERE) == 4
        assert await sock.sendmsg(parts, iter([PKTINFO, ECN]), -1) == 4
        assert sock.peer.outgoing.sent == [
            Sent("WSASend", b"data"),
            Sent("WSASendTo", b"data", NAME, flags=4),
            Sent("WSASendMsg", b"data", NAME, control),
            Sent("WSASendMsg", b"data", b"", control, 0xFFFFFFFF),
        ]
    assert len(simulation.ws2_32.ioctls) == 1  # the function is asked for once


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
    with trio.CancelScope() as scope:
        scope.cancel()
        sock.peer.outgoing.room = None
        await sock.sendmsg([b"data"])
    assert scope.cancelled_caught
    assert sock.peer.outgoing.sent == []


async def test_closing_the_socket_ends_a_message_that_waits(simulation: Simulation) -> None:
    sock = simulation.stream()
    sock.peer.outgoing.room = 0
    call = await simulation.begin(sock.sendmsg, [b"data"])
    sock.close()
    await simulation.run()
    assert isinstance(call.error, trio.ClosedResourceError)
    with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
        await sock.sendmsg([b"data"])
    assert winerror(caught.value) == WinsockError.WSAENOTSOCK


async def test_a_name_is_resolved_as_by_trios_own_sendto(simulation: Simulation) -> None:
    resolver = Resolver(HERE, ("2001:db8::1", 53, 0, 0))
    sock = simulation.datagrams()
    await sock.sendmsg([b"data"], (), 0, ("name.invalid", 53))
    assert sock.peer.outgoing.sent == [Sent("WSASendTo", b"data", NAME)]
    assert resolver.asked == [(b"name.invalid", 53, sock.family, sock.type, 0, 0)]
    six = simulation.datagrams(family=socket.AF_INET6)
    await six.sendmsg([b"data"], (), 0, ("name.invalid", 53, 0, 7))
    (sent,) = six.peer.outgoing.sent
    assert sent.name.endswith(struct.pack("<I", 7))
    for address, host in (
        (("<broadcast>", 53), "255.255.255.255"),
        ((b"127.0.0.1", 53), "127.0.0.1"),
        (("127.0.0.1", "53"), "127.0.0.1"),
    ):
        await sock.sendmsg([b"data"], (), 0, address)
        name = struct.pack("!H", 53) + socket.inet_aton(host)
        assert sock.peer.outgoing.sent[-1].name[2:8] == name
    with pytest.raises(ValueError, match="null"):  # before the resolver is asked
        await sock.sendmsg([b"data"], (), 0, ("name\0invalid", 53))


async def test_an_empty_host_is_the_loopback_address(simulation: Simulation) -> None:
    sock = simulation.datagrams()
    await sock.sendmsg([b"data"], (), 0, ("", 53))
    assert sock.peer.outgoing.sent == [Sent("WSASendTo", b"data", sockaddr_in(b"\x7f\0\0\1", 53))]


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
    for sock in (simulation.stream(), simulation.datagrams()):
        parts = [b"%04d" % number for number in range(count)]
        assert await sock.sendmsg(iter(parts)) == 4 * count
        assert [each.data for each in sock.peer.outgoing.sent] == [b"".join(parts)]
    assert counts == [given, given]


async def test_more_than_one_call_can_count_is_sent_in_parts(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winsock_send, "_MAX_SEND", 7)
    sock = simulation.stream()
    assert await sock.sendmsg([b"0123", b"4567", b"89"]) == 7
    assert await sock.sendmsg([b"7", b"89"]) == 3
    assert [each.data for each in sock.peer.outgoing.sent] == [b"0123456", b"789"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        *(((parts,), TypeError) for parts in (None, 5, b"data", ["text"])),
        (([memoryview(b"strided")[::2]],), (ValueError, BufferError)),
        *((([b"data"], ancillary), TypeError) for ancillary in (None, [(1, 2)])),
        (([b"data"], (), None), TypeError),
        (([b"data"], (), 1 << 31), OverflowError),
        *((([b"data"], (), 0, address), TypeError) for address in ("127.0.0.1", ("127.0.0.1",))),
        (([b"data"], (), 0, ("127.0.0.1", 1 << 16)), OverflowError),
        (([b"data"], (), 0, None, 0), TypeError),
        ((), TypeError),
    ],
)
async def test_bad_arguments_send_nothing(
    simulation: Simulation, arguments: tuple[Any, ...], error: Any
) -> None:
    sock: Any = simulation.datagrams()
    with pytest.raises(error):
        await sock.sendmsg(*arguments)
    assert sock.peer.outgoing.sent == []


odd = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.floats(), st.binary(max_size=3))
numbers = st.integers(-(1 << 33), 1 << 33)
messages = st.one_of(
    st.tuples(numbers, numbers, buffers), st.tuples(odd, odd, odd), st.tuples(odd), odd
)


@given(
    parts=st.one_of(st.lists(st.one_of(buffers, no_buffers), max_size=6), odd),
    ancdata=st.one_of(st.just(()), st.lists(messages, max_size=3), odd),
    flags=st.one_of(st.just(0), numbers, odd),
    address=st.one_of(st.none(), st.just(HERE), no_addresses.filter(lambda a: "lo" not in str(a))),
    is_refused=st.booleans(),
)
async def test_a_message_of_anything_is_sent_whole_or_not_at_all(
    parts: Any, ancdata: Any, flags: Any, address: Any, is_refused: bool
) -> None:
    with simulated_winsock() as simulation:
        sock = simulation.datagrams()
        if is_refused:
            sock.peer.outgoing.refusals.append(WinsockError.WSAECONNRESET)
        Resolver()
        try:
            nbytes = await sock.sendmsg(parts, ancdata, flags, address)
        except (TypeError, ValueError, OverflowError, BufferError, OSError):
            assert sock.peer.outgoing.sent == []
        else:
            (sent,) = sock.peer.outgoing.sent
            assert sent.data == b"".join(map(bytes, parts))
            assert nbytes == len(sent.data)
            assert sent.name == (b"" if address is None else lay_out_address(sock.family, address))
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, bytearray):
                part.append(0)  # it is not exported any more
