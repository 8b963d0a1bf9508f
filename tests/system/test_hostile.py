"""Random arguments at every call: a documented exception or a correct result, and no harm.

No call may crash or hang, put bytes into a buffer that the peer did not send, or write outside the
room that it was given.
"""

from __future__ import annotations

import gc
import mmap
import operator
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, NamedTuple

import pytest
import trio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tests.datagrams import bound
from tests.peers import Counted, socket_pair
from tests.receiving import Index, call, on_windows
from tests.simulation import Call
from tools.windows import WINE
from trio_wsarecv import IncompleteReceiveError, MsgFlag, wsarecv

# What the calls are documented to raise, or Python for arguments of the wrong type or size.
DOCUMENTED = (
    OSError,
    TypeError,
    ValueError,
    OverflowError,
    BufferError,
    MemoryError,
    IncompleteReceiveError,
    trio.BrokenResourceError,
    trio.BusyResourceError,
    trio.ClosedResourceError,
)

hostile = settings(
    max_examples=100 if WINE else 300,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Broken:
    """An object whose every conversion fails."""

    def _fail(self, *_: object) -> Any:
        raise ZeroDivisionError

    __index__ = __buffer__ = __iter__ = __len__ = _fail


POWERS = [2**n + d for n in (7, 8, 15, 16, 30, 31, 32, 33, 62, 63, 64) for d in (-1, 0, 1)]

junk: st.SearchStrategy[Any] = st.sampled_from(
    [None, "10", b"10", 1.5, 1e300, float("nan"), (), [], {}, object, 3 + 0j]
)
numbers = st.one_of(
    st.integers(-3, 40),
    st.integers(0, 40).map(Index),
    st.sampled_from(POWERS),
    st.sampled_from(POWERS).map(operator.neg),
    st.booleans(),
    junk,
)
# To ask for out-of-band data where there is none means to wait; Wine may fail to cancel that.
flags = st.one_of(
    st.just(0),
    st.builds(operator.or_, st.sampled_from(list(MsgFlag)), st.sampled_from(list(MsgFlag))),
    numbers.filter(lambda number: not isinstance(number, Index)),
).filter(lambda flags: not (isinstance(flags, int) and flags & MsgFlag.MSG_OOB))

# The flags of these calls are the system's, so most of them would work.
system_flags = st.one_of(
    st.sampled_from([0, socket.MSG_PEEK]),
    # On Windows the readiness engine would try again and again while ordinary data is there.
    *([] if on_windows else [st.just(socket.MSG_OOB)]),
    st.sampled_from(POWERS[16:]),
    junk,
)

CANARY = b"\xc5\x3a" * 16
FILL = b"\xee"  # the peer sends no such byte


class Target(NamedTuple):
    """A buffer to receive into, with the memory around it."""

    buffer: Any
    memory: Any
    size: int

    def check(self, nbytes: int) -> bytes:
        """Return what has been received; fail if anything else was written to."""
        memory = bytes(self.memory)
        start, end = len(CANARY), len(CANARY) + self.size
        assert memory[:start] == memory[end:] == CANARY
        assert memory[start + nbytes : end] == FILL * (self.size - nbytes)
        return memory[start : start + nbytes]


def make_target(kind: str, size: int) -> Target:
    size -= size % 4
    memory: Any = bytearray(CANARY + FILL * size + CANARY)
    if kind == "map":
        content = bytes(memory)
        memory = mmap.mmap(-1, len(content))
        memory[:] = content
    view = memoryview(memory)[len(CANARY) : len(CANARY) + size]
    if kind == "numbers":
        view = view.cast("I")
    elif kind == "grid" and size:
        view = view.cast("B", (2, size // 2))
    return Target(view, memory, size)


targets = st.builds(
    make_target,
    st.sampled_from(["bytes", "numbers", "grid", "map"]),
    st.one_of(st.integers(0, 40), st.just(3000)),
)
bad_buffers = st.one_of(
    junk,
    st.just(Broken()),
    st.builds(lambda n: memoryview(bytes(n)), st.integers(0, 20)),
    st.builds(lambda n: memoryview(bytearray(n))[::2], st.integers(3, 20)),
    st.builds(lambda n: memoryview(bytearray(n))[::-1], st.integers(2, 20)),
)


class Case(NamedTuple):
    """A call, and where it may write."""

    name: str
    arguments: tuple[Any, ...]
    targets: tuple[Target, ...] = ()

    async def run(self, sock: trio_wsarecv.Socket) -> Any:
        return await call(sock, self.name, *self.arguments)

    def received(self, result: Any) -> bytes:
        """Return the bytes that a call gave, and check that it wrote nothing else."""
        while isinstance(result, (list, tuple)):
            result = result[0]
        if isinstance(result, bytes):
            return result
        room = sum(each.size for each in self.targets)
        nbytes = room if result is None else result  # None of receive_exactly_into
        received = b""
        for target in self.targets:
            received += target.check(min(nbytes - len(received), target.size))
        assert len(received) == nbytes
        return received


def some(*arguments: st.SearchStrategy[Any], least: int = 0) -> st.SearchStrategy[Any]:
    """Draw arguments, of which the last ones may be missing."""
    return st.one_of(*(st.tuples(*arguments[:n]) for n in range(least, len(arguments) + 1)))


def case(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    return some(*arguments, least=1).map(lambda each: Case(name, each))


def case_into(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    rest = some(*arguments)
    return st.one_of(
        st.builds(lambda one, rest: Case(name, (one.buffer, *rest), (one,)), targets, rest),
        st.builds(lambda bad, rest: Case(name, (bad, *rest)), bad_buffers, rest),
    )


def case_scattered(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    def build(good: list[Target], bad: list[Any], rest: tuple[Any, ...]) -> Case:
        buffers = [each.buffer for each in good]
        return Case(name, ([*buffers, *bad], *rest), tuple(good))

    rest = some(*arguments)
    return st.one_of(
        st.builds(build, st.lists(targets, max_size=6), st.lists(bad_buffers, max_size=1), rest),
        st.builds(lambda bad, rest: Case(name, (bad, *rest)), junk, rest),
    )


of_sockets = st.one_of(
    case("recv", numbers, system_flags),
    case("recvfrom", numbers, system_flags),
    case("recvmsg", numbers, numbers, system_flags),
    case("recvfrom_many", numbers, numbers),
    case("recvmsg_many", numbers, numbers, numbers),
    case_into("recv_into", numbers, system_flags),
    case_into("recvfrom_into", numbers, system_flags),
    case_scattered("recvmsg_into", numbers, system_flags),
    case_scattered("wsarecv", flags),
)
of_streams = st.one_of(
    case("receive_some", numbers),
    case("receive_exactly", numbers),
    case_into("receive_into", numbers),
    case_into("receive_exactly_into"),
)


DATA = bytes(range(64))


@contextmanager
def udp_pair() -> Iterator[tuple[trio_wsarecv.Socket, socket.socket]]:
    with trio_wsarecv.from_stdlib_socket(bound()) as sock, bound() as other:
        other.connect(sock.getsockname())
        yield sock, other


async def play(case: Case, sock: trio_wsarecv.Socket) -> bytes:
    """Run a call, cancel it if it waits for more than there is; return the bytes that it gave."""
    async with trio.open_nursery() as nursery:
        result = Call(nursery, case.run, sock)
        with trio.fail_after(5):  # if it neither ends nor waits
            await wait_all_tasks_blocked()
        result.scope.cancel()
    if result.succeeded:
        return case.received(result.value)
    for target in case.targets:
        target.check(target.size)
    if not result.cancelled:
        assert isinstance(result.error, (*DOCUMENTED, ZeroDivisionError)), repr(result.error)
    partial: bytes = getattr(result.error, "partial", b"")
    return partial


@pytest.mark.deadline(60)
@hostile
@given(case=st.one_of(of_sockets, of_streams), ended=st.booleans())
@example(case=Case("receive_exactly", (100,)), ended=True)
@example(case=Case("receive_exactly", (100,)), ended=False)
@example(case=Case("recvmsg_into", ([],)), ended=False)
async def test_no_call_on_a_stream_does_harm(case: Case, ended: bool) -> None:
    with socket_pair() as (sock, other):
        other.sendall(DATA)
        if ended:
            other.shutdown(socket.SHUT_WR)
        await trio.lowlevel.wait_readable(sock)
        received = await play(case, sock)
        rest = b""
        while piece := await play(Case("recv", (65536,)), sock):
            rest += piece
        peeked = len(rest) == len(DATA) and rest.startswith(received)
        assert peeked or received + rest == DATA


@pytest.mark.deadline(60)
@hostile
@given(case=of_sockets)
@example(case=Case("recvmsg", (0,)))
@example(case=Case("recvmsg_into", ([],)))
@example(case=Case("recvfrom_many", (2**31, 2**31)))
async def test_no_call_on_a_socket_for_datagrams_does_harm(case: Case) -> None:
    with udp_pair() as (sock, other):
        other.send(DATA)
        await trio.lowlevel.wait_readable(sock)
        assert DATA.startswith(await play(case, sock))
        other.send(b"next")
        received = [(await sock.recvfrom(100))[0]]
        if received == [DATA]:
            received.append(await sock.recv(100))
        assert received[-1] == b"next"


@pytest.mark.deadline(60)
@hostile
@given(case=st.one_of(of_sockets, of_streams))
async def test_no_call_on_a_closed_socket_reaches_the_kernel(case: Case) -> None:
    with socket_pair() as (sock, _):
        sock.close()
        counted = Counted()
        assert not await play(case, sock)
        assert counted.wsarecv_calls == counted.cancelled == 0


class Into(NamedTuple):
    """A receive into a buffer, while something is done to the buffer or the socket."""

    name: str
    flags: int = 0

    async def run(self, sock: trio_wsarecv.Socket, buffer: bytearray) -> int:
        if self.name in ("wsarecv", "recvmsg_into"):
            # Two buffers that overlap: what is written last is there in the end.
            with memoryview(buffer) as view, view[:8] as one, view[4:] as two:
                if self.name == "wsarecv":
                    return (await wsarecv(sock, [one, two], self.flags)).nbytes
                return int((await sock.recvmsg_into([one, two]))[0])
        if self.name == "receive_exactly_into":
            with memoryview(buffer) as view, view[:12] as part:
                await trio_wsarecv.SocketStream(sock).receive_exactly_into(part)
                return 12
        return int(await sock.recv_into(buffer, 20))

    def expected(self, data: bytes) -> bytes:
        if self.name in ("wsarecv", "recvmsg_into") and len(data) > 8:
            return data[:4] + data[8:] + data[4:8][len(data) - 8 :]
        return data


INTO = [
    Into("recv_into"),
    Into("recvmsg_into"),
    Into("wsarecv"),
    Into("wsarecv", MsgFlag.MSG_WAITALL),
    Into("receive_exactly_into"),
]
ACTIONS = ["send", "cancel", "close", "shut down", "resize", "collect", "receive", "wait", "end"]


@pytest.mark.deadline(60)
@hostile
@given(
    into=st.sampled_from(INTO),
    actions=st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=6),
    streams=st.booleans(),
)
async def test_nothing_done_during_a_receive_does_harm(
    into: Into, actions: list[str], streams: bool
) -> None:
    streams = streams or into.flags != 0 or into.name == "receive_exactly_into"
    buffer = bytearray(CANARY)
    sent = b""
    with socket_pair() if streams else udp_pair() as (sock, other):
        async with trio.open_nursery() as nursery:
            receive = Call(nursery, into.run, sock, buffer)
            others: list[Call] = []
            await wait_all_tasks_blocked()
            for action in actions:
                if action == "send" and not (sent and not streams):
                    data = bytes(range(len(sent), len(sent) + 6))
                    with suppress(OSError):  # the socket may be closed
                        other.send(data)
                        sent += data
                elif action == "cancel":
                    receive.scope.cancel()
                elif action == "close":
                    sock.close()
                elif action == "shut down" and sock.fileno() != -1 and streams:
                    with suppress(OSError):
                        sock.shutdown(socket.SHUT_RD)
                elif action == "resize":
                    with nullcontext() if receive.done else suppress(BufferError):
                        buffer.append(0)
                        buffer.pop()
                elif action == "collect":
                    gc.collect(1)
                elif action == "receive":
                    others.append(Call(nursery, sock.recv, 0))
                    others.append(Call(nursery, into.run, sock, bytearray(CANARY)))
                elif action == "wait":
                    await wait_all_tasks_blocked()
                elif action == "end" and streams:
                    other.close()
                    break
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        for each in (receive, *others):
            if not each.succeeded and not each.cancelled:
                assert isinstance(each.error, DOCUMENTED), repr(each.error)
        if receive.succeeded:
            received = into.expected(sent[: receive.value])
            assert buffer[: len(received)] == received
            assert buffer[receive.value :] == CANARY[receive.value :]
        elif isinstance(receive.error, IncompleteReceiveError):
            assert sent.startswith(receive.error.partial)
        buffer.append(0)
