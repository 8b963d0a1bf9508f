"""Whatever is done to a buffer or a socket during a receive: a documented end, and no harm.

Nothing may crash or hang, or put bytes into a buffer that the peer did not send.
"""

from __future__ import annotations

import gc
import socket
from contextlib import nullcontext, suppress
from typing import NamedTuple

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tests.datagrams import connected_datagrams
from tests.peers import socket_pair
from tests.simulation import Call
from tools.windows import WINE
from trio_wsarecv import IncompleteReceiveError, MsgFlag, wsarecv

FILL = b"\xee" * 32  # the peer sends no such byte


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
DOCUMENTED = (
    OSError,
    ValueError,
    IncompleteReceiveError,
    trio.BrokenResourceError,
    trio.BusyResourceError,
    trio.ClosedResourceError,
)
ACTIONS = ["send", "cancel", "close", "shut down", "resize", "collect", "receive", "wait", "end"]


@pytest.mark.deadline(60)
@settings(max_examples=100 if WINE else 300, suppress_health_check=[HealthCheck.too_slow])
@given(
    into=st.sampled_from(INTO),
    actions=st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=6),
    streams=st.booleans(),
)
async def test_nothing_done_during_a_receive_does_harm(
    into: Into, actions: list[str], streams: bool
) -> None:
    streams = streams or into.flags != 0 or into.name == "receive_exactly_into"
    buffer = bytearray(FILL)
    sent = b""
    with socket_pair() if streams else connected_datagrams() as (sock, other):
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
                    others.append(Call(nursery, into.run, sock, bytearray(FILL)))
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
            assert buffer[receive.value :] == FILL[receive.value :]
        elif isinstance(receive.error, IncompleteReceiveError):
            assert sent.startswith(receive.error.partial)
        buffer.append(0)
