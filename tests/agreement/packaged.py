"""Two of the worlds: the package on the simulation, and the package on the real Winsock."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import trio
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tests.receiving import operation_of
from tests.simulation import Simulation
from tests.simulation.calls import Call
from trio_wsarecv._engine.port import CompletionPort
from trio_wsarecv._winsock.codes import NtStatus
from trio_wsarecv._winsock.operation import Operation

from .result import WIN32, Result, of_outcome

#: The sender's address on the simulation, as the kernel writes it and as Python gives it.
SOCKADDR = b"\x02\x00\x1f\x90\x7f\x00\x00\x01" + bytes(8)
SENDER = ("127.0.0.1", 8080)

PATIENCE = 10.0
UNSEEN = 0.2


@contextmanager
def until_in(sock: socket.socket, count_pending: Callable[[], int]) -> Iterator[None]:
    """Wait until what the peer does here has ended a receive that waits, or can be received."""
    before = count_pending()
    yield
    if before:
        # Windows may write the result when the packet is dequeued, so that nothing tells sooner.
        deadline = time.monotonic() + UNSEEN
        while count_pending() == before and time.monotonic() < deadline:
            time.sleep(0.001)
    else:
        assert select.select([sock], [], [], PATIENCE)[0]


def count_completions() -> int:
    """Count the receives that the kernel has not refused."""
    statistics = trio_wsarecv.statistics()
    return statistics.immediate + statistics.pended


def register_again(port: CompletionPort, handle: int) -> Result:
    try:
        port.register_with_iocp(handle)
    except OSError as exc:
        return Result("refused", error=exc.winerror)  # type: ignore[attr-defined,unused-ignore]
    return Result("accepted")


class PackagedWorld:
    """What the two have in common."""

    def __init__(self, nursery: trio.Nursery, sock: trio_wsarecv.Socket, peer_name: Any) -> None:
        self.sock = sock
        self._nursery = nursery
        self._peer_name = peer_name
        self._completed = 0
        self._operation: Operation | None = None

    async def begin(self, nbytes: int, *, sender: bool = False) -> Call:
        self._completed = count_completions()
        function = self._receive_from if sender else self._receive
        call = Call(self._nursery, function, nbytes)
        await wait_all_tasks_blocked()
        # Now, since a socket that is closed knows it no longer.
        self._operation = operation_of(self.sock)
        return call

    async def _receive(self, nbytes: int) -> bytes:
        if nbytes:
            return await self.sock.recv(nbytes)
        received, _ = await trio_wsarecv.wsarecv(self.sock, [bytearray()])
        return bytes(received)

    async def _receive_from(self, nbytes: int) -> tuple[bytes, bool]:
        data, address = await self.sock.recvfrom(nbytes)
        return data, address == self._peer_name

    def cancel(self, receive: Call) -> None:
        receive.scope.cancel()

    def close(self) -> None:
        self.sock.close()

    def shutdown(self) -> None:
        self.sock.shutdown(socket.SHUT_RD)

    def result(self, receive: Call) -> Result:
        assert receive.outcome is not None
        operation = self._operation
        completed = operation is not None and count_completions() > self._completed
        code = WIN32[operation.status] if operation is not None and completed else None
        return of_outcome(receive.outcome, code)


class SimulatedWorld(PackagedWorld):
    """The package on the simulation."""

    def __init__(
        self, nursery: trio.Nursery, simulation: Simulation, kind: socket.SocketKind
    ) -> None:
        is_stream = kind == socket.SOCK_STREAM
        sock = simulation.stream() if is_stream else simulation.datagrams()
        super().__init__(nursery, sock, SENDER)
        self._simulation = simulation
        self._peer = sock.peer
        self._is_stream = is_stream

    async def finish(self, receive: Call) -> Result:
        await self._simulation.step()
        return self.result(receive)

    async def send(self, data: bytes) -> None:
        if self._is_stream:
            self._peer.send(data)
        else:
            self._peer.send(data, SOCKADDR)

    async def end(self) -> None:
        self._peer.send_end()

    async def reset(self) -> None:
        self._peer.reset()

    async def register_again(self) -> Result:
        return register_again(self._simulation, self.sock.fileno())


class RealWorld(PackagedWorld):
    """The package on the real Winsock."""

    def __init__(
        self, nursery: trio.Nursery, sock: socket.socket, peer: socket.socket | None, name: Any
    ) -> None:
        super().__init__(nursery, trio_wsarecv.from_stdlib_socket(sock), name)
        self._peer = peer

    async def finish(self, receive: Call) -> Result:
        with trio.fail_after(PATIENCE):
            while not receive.done:
                await wait_all_tasks_blocked(0.001)
        return self.result(receive)

    async def send(self, data: bytes) -> None:
        assert self._peer is not None
        with until_in(self.sock.stdlib, self._count_pending):
            if self.sock.type == socket.SOCK_STREAM:
                self._peer.sendall(data)
            else:
                self._peer.sendto(data, self.sock.getsockname())

    async def end(self) -> None:
        assert self._peer is not None
        with until_in(self.sock.stdlib, self._count_pending):
            self._peer.shutdown(socket.SHUT_WR)

    async def reset(self) -> None:
        with until_in(self.sock.stdlib, self._count_pending):
            self.sock.stdlib.send(b"reset\n")

    def _count_pending(self) -> int:
        operation = operation_of(self.sock)
        return int(operation is not None and operation.status == NtStatus.PENDING)

    async def register_again(self) -> Result:
        return register_again(cast("CompletionPort", trio.lowlevel), self.sock.fileno())
