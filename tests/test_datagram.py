"""Datagrams: who sent them, how much of them there is, and what becomes of the socket."""

from __future__ import annotations

import random
import socket
import struct
import sys
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import outcome
import psutil
import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

import trio_wsarecv
from trio_wsarecv import MsgFlag, WinsockError, _datagram, wsarecv
from trio_wsarecv._codes import NtStatus

from .peers import Counted, on_wine, pattern
from .simulation import Call, Simulation, simulated_winsock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

on_windows = sys.platform == "win32"

SIO_UDP_CONNRESET = 0x9800000C

LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


families = pytest.mark.parametrize(
    "family",
    [
        pytest.param(socket.AF_INET, id="IPv4"),
        pytest.param(
            socket.AF_INET6,
            id="IPv6",
            marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here"),
        ),
    ],
)


def bound(family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((LOOPBACK[family], 0))
    return sock


class Pair(NamedTuple):
    """A `Socket`, and a socket of the standard library that sends to it."""

    sock: trio_wsarecv.Socket
    sender: socket.socket

    def send(self, data: bytes) -> None:
        self.sender.sendto(data, self.sock.getsockname())


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    with trio_wsarecv.from_stdlib_socket(bound()) as sock, bound() as sender:
        yield Pair(sock, sender)


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with simulated_winsock() as simulation:
        yield simulation


def winerror(error: BaseException) -> int:
    assert isinstance(error, OSError)
    code: int = error.winerror  # type: ignore[attr-defined,unused-ignore]
    return code


class Received(NamedTuple):
    """What the different calls return, made alike."""

    data: bytes
    address: Any = None
    truncated: bool = False


# Whatever a call leaves untouched in the buffer it is given shows.
CANARY = b"\xca\xfe" * 8


class Buffer:
    """A buffer between canaries."""

    def __init__(self, size: int) -> None:
        self.memory = bytearray(CANARY + b"." * size + CANARY)
        self.part = memoryview(self.memory)[len(CANARY) : -len(CANARY)]

    def take(self, nbytes: int) -> bytes:
        assert self.memory.startswith(CANARY)
        assert self.memory.endswith(CANARY)
        assert not bytes(self.part[nbytes:]).strip(b".")
        return bytes(self.part[:nbytes])


async def recv(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    return Received(await sock.recv(size, flags))


async def recv_into(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    buffer = Buffer(size + 5)
    return Received(buffer.take(await sock.recv_into(buffer.part, size, flags)))


async def recvfrom(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    data, address = await sock.recvfrom(size, flags)
    return Received(data, address)


async def recvfrom_into(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    buffer = Buffer(size + 5)
    nbytes, address = await sock.recvfrom_into(buffer.part, size, flags)
    return Received(buffer.take(nbytes), address)


async def recvmsg(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    data, _, flags_out, address = await sock.recvmsg(size, 0, flags)
    return Received(data, address, bool(flags_out & MSG_TRUNC))


async def recvmsg_into(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    one, two = Buffer(size // 2), Buffer(size - size // 2)
    nbytes, _, flags_out, address = await sock.recvmsg_into([one.part, two.part], 0, flags)
    data = one.take(min(nbytes, size // 2)) + two.take(max(nbytes - size // 2, 0))
    return Received(data, address, bool(flags_out & MSG_TRUNC))


async def scatter(sock: trio_wsarecv.Socket, size: int, flags: int = 0) -> Received:
    one, two = Buffer(size // 2), Buffer(size - size // 2)
    nbytes, flags_out = await wsarecv(sock, [one.part, two.part], flags)
    data = one.take(min(nbytes, size // 2)) + two.take(max(nbytes - size // 2, 0))
    return Received(data, None, bool(flags_out & MsgFlag.MSG_TRUNC))


# What a call that returns flags has for a datagram cut off: Winsock's value, or the system's.
MSG_TRUNC = MsgFlag.MSG_TRUNC if on_windows else socket.MSG_TRUNC

METHODS = [recv, recv_into, recvfrom, recvfrom_into, recvmsg, recvmsg_into, scatter]
WITH_ADDRESS = [recvfrom, recvfrom_into, recvmsg, recvmsg_into]
WITH_FLAGS = [recvmsg, recvmsg_into, scatter]
WITHOUT_FLAGS = [recv, recv_into, recvfrom, recvfrom_into]

Method = Any
every = pytest.mark.parametrize("receive", METHODS)
when = pytest.mark.parametrize("pending", [False, True])


async def receive_when(
    pending: bool, receive: Callable[[], Awaitable[Any]], send: Callable[[], object]
) -> Any:
    """Return what a receive gives, before which or during which something is sent."""
    if not pending:
        send()
        return await receive()
    async with trio.open_nursery() as nursery:
        call = Call(nursery, receive)
        await wait_all_tasks_blocked()
        assert not call.done
        send()
    return call.value


# Who sent it.


def send_twice(sender: socket.socket, data: bytes, address: Any) -> None:
    for _ in range(2):
        sender.sendto(data, address)


@families
@when
@pytest.mark.parametrize("receive", WITH_ADDRESS)
async def test_the_sender_is_who_the_standard_library_says(
    family: socket.AddressFamily, receive: Method, pending: bool
) -> None:
    with trio_wsarecv.from_stdlib_socket(bound(family)) as sock, ExitStack() as stack:
        senders = [stack.enter_context(bound(family)) for _ in range(3)]
        for i in (0, 1, 1, 2, 0):
            received = await receive_when(
                pending,
                lambda: receive(sock, 100),
                partial(send_twice, senders[i], b"%d" % i, sock.getsockname()),
            )
            expected = sock.stdlib.recvfrom(100)
            assert received == (*expected, False)
            assert received.address == senders[i].getsockname()
            assert [type(part) for part in received.address] == [type(part) for part in expected[1]]


@pytest.mark.parametrize("receive", WITH_ADDRESS)
async def test_a_receive_that_is_begun_again_tells_the_sender(
    simulation: Simulation, receive: Method
) -> None:
    sockaddr, address = ADDRESSES["IPv6 link"]
    sock = simulation.datagrams()
    async with simulation.nursery() as nursery:
        call = Call(nursery, receive, sock, 10)
        await simulation.run()
        sock.peer.end(NtStatus.CANCELLED)  # which nobody here asked for
        await simulation.step()
        sock.peer.send(b"data", sockaddr)
        await simulation.step()
        assert call.value == (b"data", address, False)
    simulation.check_quiet()


def link_local() -> list[Any]:
    """Return this machine's own addresses that are good on one link only."""
    hosts = [each.address for some in psutil.net_if_addrs().values() for each in some]
    found = []
    for host in (*hosts, socket.gethostname()):
        with suppress(socket.gaierror):
            info = socket.getaddrinfo(host, 0, socket.AF_INET6, socket.SOCK_DGRAM)
            found += [address for *_, address in info if address[3:] not in ((), (0,))]
    return found


ADDRESSES = {
    "IPv4": (struct.pack("<H", 2) + b"\x1f\x90\x7f\0\0\x01" + bytes(8), ("127.0.0.1", 8080)),
    "IPv6": (
        struct.pack("<H", 23) + b"\x1f\x90" + bytes(19) + b"\x01" + bytes(4),
        ("::1", 8080, 0, 0),
    ),
    "IPv6 link": (
        struct.pack("<H", 23)
        + b"\x1f\x90\x00\x0a\xbc\xde"
        + bytes.fromhex("fe800000000000000000000000000001")
        + b"\x07\x00\x01\x00",
        ("fe80::1", 8080, 0xABCDE, 0x10007),
    ),
    "none": (b"", None),
    "another family": (b"\x22\x00" + bytes(range(14)), (0x22, bytes(range(14)))),
}


@pytest.mark.parametrize(("sockaddr", "expected"), ADDRESSES.values(), ids=ADDRESSES)
@when
@pytest.mark.parametrize("receive", WITH_ADDRESS)
async def test_scope_and_flow_are_part_of_the_address(
    simulation: Simulation, receive: Method, pending: bool, sockaddr: bytes, expected: Any
) -> None:
    sock = simulation.datagrams()
    async with simulation.nursery() as nursery:
        if not pending:
            sock.peer.send(b"data", sockaddr)
        call = Call(nursery, receive, sock, 10)
        await simulation.run()
        if pending:
            sock.peer.send(b"data", sockaddr)
        await simulation.step()
        assert call.value == (b"data", expected, False)
    simulation.check_quiet()


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize("receive", WITH_ADDRESS)
async def test_the_scope_of_a_link_is_the_standard_librarys(receive: Method) -> None:
    with ExitStack() as stack:
        for address in link_local():
            one, two = (socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(2))
            sock = stack.enter_context(trio_wsarecv.from_stdlib_socket(one))
            sender = stack.enter_context(two)
            for each in (one, two):
                each.bind(address)
            for _ in range(2):
                sender.sendto(b"data", sock.getsockname())
            expected = await trio.socket.from_stdlib_socket(sock.stdlib).recvfrom(100)
            assert await receive(sock, 100) == (*expected, False)
            assert expected[1][3]
            return
    pytest.skip("no link-local address here")


@pytest.mark.parametrize("receive", WITH_ADDRESS)
async def test_a_stream_has_the_address_that_the_standard_library_gives(receive: Method) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        with trio_wsarecv.from_stdlib_socket(one) as sock:
            other, _ = listener.accept()
            with other:
                for _ in range(2):
                    other.sendall(b"datadata")
                    await trio.lowlevel.wait_readable(sock)
                    expected = sock.stdlib.recvfrom(4)
                    if receive in WITH_FLAGS:  # and that is not to be had on Windows
                        expected = (b"data", None)
                    assert await receive(sock, 4) == (*expected, False)


async def test_a_connected_socket_receives_from_its_peer_only(pair: Pair) -> None:
    with bound() as stranger:
        await pair.sock.connect(pair.sender.getsockname())
        for receive in METHODS:
            stranger.sendto(b"from a stranger", pair.sock.getsockname())
            pair.send(b"from the peer")
            received = await receive(pair.sock, 100)
            assert received.data == b"from the peer"
            if receive in WITH_ADDRESS:
                assert received.address == pair.sender.getsockname()


# How much of it there is.


@families
@when
@every
async def test_a_datagram_of_no_bytes_is_one(
    family: socket.AddressFamily, receive: Method, pending: bool
) -> None:
    with trio_wsarecv.from_stdlib_socket(bound(family)) as sock, bound(family) as sender:
        for data in (b"", b"data", b"", b""):
            received = await receive_when(
                pending,
                lambda: receive(sock, 100),
                partial(sender.sendto, data, sock.getsockname()),
            )
            assert received.data == data
            assert not received.truncated
            if receive in WITH_ADDRESS:
                assert received.address == sender.getsockname()


@when
@every
async def test_the_largest_datagram_is_received_whole(
    pair: Pair, receive: Method, pending: bool
) -> None:
    data = pattern(65507)
    for size in (65507, 65508, 1 << 20):
        received = await receive_when(
            pending, partial(receive, pair.sock, size), lambda: pair.send(data)
        )
        assert received.data == data
        assert not received.truncated


@pytest.mark.windows
@pytest.mark.parametrize("size", [2**31, 2**40, sys.maxsize])
async def test_an_enormous_request_costs_nothing(pair: Pair, size: int) -> None:
    for receive in (recv, recvfrom, recvmsg):
        pair.send(b"data")
        assert (await receive(pair.sock, size)).data == b"data"


@when
@pytest.mark.parametrize("receive", WITH_FLAGS)
async def test_a_flag_says_that_a_datagram_was_cut_off(
    pair: Pair, receive: Method, pending: bool
) -> None:
    for _ in range(3):
        received = await receive_when(
            pending, lambda: receive(pair.sock, 4), lambda: pair.send(b"0123456789")
        )
        assert received.data == b"0123"
        assert received.truncated
        received = await receive_when(
            pending, lambda: receive(pair.sock, 4), lambda: pair.send(b"next")
        )
        assert received.data == b"next"
        assert not received.truncated


@pytest.mark.windows
@when
@pytest.mark.parametrize("receive", WITHOUT_FLAGS)
async def test_an_error_says_that_a_datagram_was_cut_off(
    pair: Pair, receive: Method, pending: bool
) -> None:
    pair.send(b"0123456789")
    with pytest.raises(OSError, match=r".") as known:
        pair.sock.stdlib.recv(4)
    for _ in range(3):
        with pytest.raises(OSError, match=r".") as caught:
            await receive_when(
                pending, lambda: receive(pair.sock, 4), lambda: pair.send(b"0123456789")
            )
        assert (type(caught.value), str(caught.value)) == (type(known.value), str(known.value))
        assert winerror(caught.value) == WinsockError.WSAEMSGSIZE
        assert caught.value.partial == b"0123"  # type: ignore[attr-defined]
        received = await receive_when(
            pending, lambda: receive(pair.sock, 4), lambda: pair.send(b"next")
        )
        assert received.data == b"next"


@when
@every
async def test_a_datagram_is_cut_off_wherever_the_data_goes(
    simulation: Simulation, receive: Method, pending: bool
) -> None:
    sock = simulation.datagrams()
    async with simulation.nursery() as nursery:
        for _ in range(2):
            if not pending:
                sock.peer.send(b"0123456789")
            call = Call(nursery, receive, sock, 4)
            await simulation.run()
            if pending:
                sock.peer.send(b"0123456789")
            await simulation.step()
            if receive in WITHOUT_FLAGS:
                assert winerror(call.error) == WinsockError.WSAEMSGSIZE
                assert call.error.partial == b"0123"  # type: ignore[attr-defined]
            else:
                assert call.value.data == b"0123"
            sock.peer.send(b"next")
            call = Call(nursery, receive, sock, 4)
            await simulation.step()
            assert call.value.data == b"next"
    simulation.check_quiet()


@pytest.mark.skipif(on_windows, reason="Windows raises")
@every
async def test_elsewhere_a_datagram_is_cut_off_as_there(pair: Pair, receive: Method) -> None:
    pair.send(b"0123456789")
    assert (await receive(pair.sock, 4)).data == b"0123"


@pytest.mark.windows
@when
@every
def test_on_the_readiness_engine_it_is_the_same(receive: Method, pending: bool) -> None:
    with trio_wsarecv.from_stdlib_socket(bound()) as sock, bound() as sender:
        pair = Pair(sock, sender)

        async def first_run() -> None:
            pair.send(b"data")
            assert await sock.recv(10) == b"data"

        async def second_run() -> None:
            counted = Counted()
            for data in (b"data", b"", b"next", b"0123456789", b"", b"0123456789", b"last"):
                result = await receive_when(
                    pending,
                    lambda: outcome.acapture(receive, sock, 4),
                    partial(pair.send, data),
                )
                if len(data) > 4 and receive in WITHOUT_FLAGS:
                    assert winerror(result.error) == WinsockError.WSAEMSGSIZE
                    assert result.error.partial == data[:4]
                else:
                    received = result.unwrap()
                    assert received.data == data[:4]
                    assert received.truncated == (len(data) > 4)
                    if receive in WITH_ADDRESS:
                        assert received.address == sender.getsockname()
            assert (counted.overlapped_sockets, counted.readiness_sockets) == (0, 1)

        trio.run(first_run)
        trio.run(second_run)


# Peeking, checkpoints, and one receiver at a time.


@when
@every
async def test_peeking_leaves_the_datagram(pair: Pair, receive: Method, pending: bool) -> None:
    received = await receive_when(
        pending, lambda: receive(pair.sock, 100, socket.MSG_PEEK), lambda: pair.send(b"data")
    )
    assert received.data == b"data"
    assert await receive(pair.sock, 100, socket.MSG_PEEK) == received
    assert await receive(pair.sock, 100) == received
    assert not pair.sock.is_readable()


@every
async def test_every_receive_is_a_checkpoint(pair: Pair, receive: Method) -> None:
    for data in (b"data", b""):
        pair.send(data)
        await trio.lowlevel.wait_readable(pair.sock)
        with assert_checkpoints():
            assert (await receive(pair.sock, 10)).data == data
    pair.send(b"data")
    with trio.CancelScope() as scope:
        scope.cancel()
        await receive(pair.sock, 10)
    assert scope.cancelled_caught
    assert (await receive(pair.sock, 10)).data == b"data"


@every
async def test_a_second_receiver_is_refused(pair: Pair, receive: Method) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive, pair.sock, 10)
        await wait_all_tasks_blocked()
        for other in METHODS:
            with pytest.raises(trio.BusyResourceError):
                await other(pair.sock, 10)
        pair.send(b"data")


@every
async def test_closing_ends_a_receive(pair: Pair, receive: Method) -> None:
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def run() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await receive(pair.sock, 10)

        await wait_all_tasks_blocked()
        pair.sock.close()
        assert pair.sock.fileno() == -1
    for flags in (0, socket.MSG_PEEK):
        with assert_checkpoints(), pytest.raises(OSError, match=r".") as caught:
            await receive(pair.sock, 10, flags)
        if on_windows:
            assert winerror(caught.value) == WinsockError.WSAENOTSOCK


# None is lost.


DATAGRAMS = 150


async def cancelled_at_random(pair: Pair, receive: Callable[[Any, int], Any], seed: int) -> int:
    """Have numbered datagrams arrive in order although receives are cancelled all the time."""
    rng = random.Random(seed)
    scope = trio.CancelScope()
    received: list[bytes] = []
    sent = cancelled = 0

    async def receive_all() -> None:
        nonlocal scope, cancelled
        while len(received) < DATAGRAMS:
            scope = trio.CancelScope()
            with scope:
                received.append((await receive(pair.sock, 100)).data)
            cancelled += scope.cancelled_caught

    def send() -> None:
        nonlocal sent
        if sent < DATAGRAMS:
            pair.send(b"%d" % sent)
            sent += 1

    def cancel() -> None:
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive_all)
        while len(received) < DATAGRAMS:
            if rng.random() < 0.5:
                while len(received) < sent < DATAGRAMS:
                    await trio.lowlevel.checkpoint()
            steps = [send] * rng.randrange(4) + [cancel] * rng.randrange(3)
            rng.shuffle(steps)
            for step in steps:
                step()
                if rng.random() < 0.3:
                    await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
    assert received == [b"%d" % i for i in range(DATAGRAMS)]
    return cancelled


@every
async def test_datagrams_are_not_lost_to_cancellation(pair: Pair, receive: Method) -> None:
    assert await cancelled_at_random(pair, receive, seed=METHODS.index(receive)) > 10


@pytest.mark.parametrize("seed", range(2))
@every
async def test_datagrams_are_not_lost_whatever_comes_of_cancelling(
    receive: Method, seed: int
) -> None:
    rng = random.Random(seed)
    with simulated_winsock(seed) as simulation:
        sock = simulation.datagrams()
        received: list[bytes] = []
        sent = cancelled = 0
        async with simulation.nursery() as nursery:
            for _ in range(50):
                call = Call(nursery, receive, sock, 100)
                await simulation.run()
                for _ in range(rng.randrange(3)):
                    sock.peer.send(b"%d" % sent)
                    sent += 1
                if rng.random() < 0.7:
                    call.scope.cancel()
                await simulation.step()
                if not call.done:
                    call.scope.cancel()
                    await simulation.step()
                if call.cancelled:
                    cancelled += 1
                else:
                    received.append(call.value.data)
            simulation.deliver_automatically()
            while len(received) < sent:
                received.append((await receive(sock, 100)).data)
        assert received == [b"%d" % i for i in range(sent)]
        assert cancelled
        simulation.check_quiet()


# What a datagram sent to nobody does.


def nobody() -> Any:
    """Return an address where nobody listens."""
    with bound() as sock:
        return sock.getsockname()


UNREACHABLE = (ConnectionResetError, ConnectionRefusedError)


@when
@every
async def test_a_connected_socket_learns_once_that_nobody_is_there(
    receive: Method, pending: bool
) -> None:
    # Windows says "reset", Linux and Wine say "refused".
    if on_wine and not pending:
        pytest.skip("Wine keeps it to itself until the receive after the next")
    with trio_wsarecv.from_stdlib_socket(bound()) as sock:
        with bound() as other:
            address = other.getsockname()
            await sock.connect(address)
        for _ in range(1 if on_wine else 2):
            with pytest.raises(UNREACHABLE):
                await receive_when(
                    pending, lambda: receive(sock, 100), lambda: sock.stdlib.send(b"?")
                )
        with socket.socket(type=socket.SOCK_DGRAM) as other:
            other.bind(address)
            # Wine wakes nobody who waits once it has reported an error, plain Trio included.
            received = await receive_when(
                pending and not on_wine,
                lambda: receive(sock, 100),
                lambda: other.sendto(b"here I am", sock.getsockname()),
            )
            assert received.data == b"here I am"


@every
async def test_a_socket_stays_usable_although_nobody_was_there(pair: Pair, receive: Method) -> None:
    # Whether an unconnected socket hears of it at all depends on the system.
    for _ in range(3):
        pair.sock.stdlib.sendto(b"?", nobody())
    for data in (b"one", b"", b"three"):
        pair.send(data)
        for _ in range(3):
            try:
                received = await receive(pair.sock, 100)
                break
            except ConnectionResetError:
                assert on_windows
        else:
            received = await receive(pair.sock, 100)
        assert received.data == data


@when
@every
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (NtStatus.PORT_UNREACHABLE, WinsockError.WSAECONNRESET),
        (NtStatus.HOST_UNREACHABLE, WinsockError.WSAEHOSTUNREACH),
    ],
)
async def test_each_icmp_error_is_told_once_in_its_turn(
    simulation: Simulation,
    receive: Method,
    pending: bool,
    status: NtStatus,
    code: WinsockError,
) -> None:
    sock = simulation.datagrams()
    async with simulation.nursery() as nursery:
        for what in (b"one", status, status, b"", status, b"three"):
            if not pending:
                sock.peer.send_error(what) if isinstance(what, NtStatus) else sock.peer.send(what)
            call = Call(nursery, receive, sock, 100)
            await simulation.run()
            if pending:
                sock.peer.send_error(what) if isinstance(what, NtStatus) else sock.peer.send(what)
            await simulation.step()
            if isinstance(what, NtStatus):
                assert winerror(call.error) == code
            else:
                assert call.value.data == what
    simulation.check_quiet()


@pytest.mark.parametrize("enabled", [False, True])
async def test_reports_of_nobody_there_can_be_switched(
    simulation: Simulation, enabled: bool
) -> None:
    sock = simulation.datagrams()
    _datagram.set_udp_connreset(sock.stdlib, enabled)
    expected = (sock.fileno(), SIO_UDP_CONNRESET, bytes([enabled, 0, 0, 0]))
    assert simulation.ws2_32.ioctls == [expected]


async def test_the_switch_is_there_everywhere(pair: Pair) -> None:
    for enabled in (False, True, False):
        pair.sock.set_udp_connreset(enabled)
        pair.send(b"data")
        assert await pair.sock.recv(10) == b"data"
    pair.sock.close()
    if on_windows:
        with pytest.raises(OSError, match=r".") as caught:
            pair.sock.set_udp_connreset(True)
        assert winerror(caught.value) == WinsockError.WSAENOTSOCK


@pytest.mark.real_windows
@when
@every
async def test_an_unconnected_socket_learns_of_it_unless_told_not_to(
    pair: Pair, receive: Method, pending: bool
) -> None:
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            await receive_when(
                pending,
                lambda: receive(pair.sock, 100),
                lambda: pair.sock.stdlib.sendto(b"?", nobody()),
            )
    pair.sock.set_udp_connreset(False)
    for data in (b"one", b"two"):
        pair.sock.stdlib.sendto(b"?", nobody())
        received = await receive_when(
            pending,
            lambda: receive(pair.sock, 100),
            partial(pair.send, data),
        )
        assert received.data == data


# Other ends.


@when
@every
async def test_the_end_of_a_connection_of_messages_is_an_error(
    simulation: Simulation, receive: Method, pending: bool
) -> None:
    # A message of no bytes is a message there.
    sock = simulation.datagrams()
    async with simulation.nursery() as nursery:
        sock.peer.send(b"")
        call = Call(nursery, receive, sock, 100)
        await simulation.step()
        assert call.value.data == b""
        if not pending:
            sock.peer.send_error(NtStatus.GRACEFUL_DISCONNECT)
        call = Call(nursery, receive, sock, 100)
        await simulation.run()
        if pending:
            sock.peer.send_error(NtStatus.GRACEFUL_DISCONNECT)
        await simulation.step()
        assert winerror(call.error) == WinsockError.WSAEDISCON
    simulation.check_quiet()


@every
async def test_an_error_that_had_to_wait_comes_with_the_next_receive(
    simulation: Simulation, receive: Method
) -> None:
    sock = simulation.datagrams()
    async with simulation.nursery() as nursery:
        call = Call(nursery, sock.recv, 100)
        await simulation.run()
        sock.peer.end(NtStatus.PORT_UNREACHABLE, b"data")
        await simulation.step()
        assert call.value == b"data"
        simulation.deliver_automatically()
        sock.peer.send(b"more")
        with pytest.raises(ConnectionResetError):
            await receive(sock, 100)
        assert (await receive(sock, 100)).data == b"more"


@pytest.mark.real_windows
@every
async def test_a_socket_without_an_address_cannot_receive(receive: Method) -> None:
    with trio_wsarecv.from_stdlib_socket(socket.socket(type=socket.SOCK_DGRAM)) as sock:
        with pytest.raises(OSError, match=r".") as caught:
            await receive(sock, 100)
        assert winerror(caught.value) == WinsockError.WSAEINVAL


async def test_nothing_is_received_into_nothing(pair: Pair) -> None:
    for name in ("recv_into", "recvfrom_into"):
        stock = trio.socket.from_stdlib_socket(pair.sock.stdlib)
        pair.send(b"data")
        await trio.lowlevel.wait_readable(pair.sock)
        try:
            expected: Any = await getattr(stock, name)(bytearray())
        except OSError as exc:
            expected = type(exc), str(exc)
        pair.send(b"data")
        await trio.lowlevel.wait_readable(pair.sock)
        try:
            result: Any = await getattr(pair.sock, name)(bytearray())
        except OSError as exc:
            result = type(exc), str(exc)
        assert result == expected
