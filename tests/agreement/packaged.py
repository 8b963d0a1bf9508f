"""Two worlds: the package on the simulation, and the package on the real Winsock."""

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
from tests.receiving import SENDER, SENDER_ADDRESS, operation_of
from tests.simulation import Simulation
from tests.simulation.calls import Call
from trio_wsarecv._engine.port import CompletionPort
from trio_wsarecv._winsock.codes import NtStatus
from trio_wsarecv._winsock.operation import Operation

from .result import WIN32, Result, of_outcome

PATIENCE = 10.0
UNSEEN = 0.2


@contextmanager
def until_arrived(sock: socket.socket, count_pending: Callable[[], int]) -> Iterator[None]:
    """Wait until what the peer does here has ended a pending receive, or can be received."""
    before = count_pending()
    yield
    if before:
        # Windows may write the result when the packet is dequeued: then nothing shows earlier.
        deadline = time.monotonic() + UNSEEN
        while count_pending() == before and time.monotonic() < deadline:
            time.sleep(0.001)
    else:
        assert select.select([sock], [], [], PATIENCE)[0]


def count_completions() -> int:
    """Count the receives that the kernel has accepted."""
    statistics = trio_wsarecv.statistics()
    return statistics.immediate + statistics.pended


def register_again(port: CompletionPort, handle: int) -> Result:
    try:
        port.register_with_iocp(handle)
    except OSError as exc:
        return Result("refused", error=exc.winerror)  # type: ignore[attr-defined,unused-ignore]
    return Result("accepted")


class PackagedWorld:
    """What both have in common."""

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
        # A closed socket no longer has it.
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
        make = simulation.stream if kind == socket.SOCK_STREAM else simulation.datagrams
        sock = make()
        super().__init__(nursery, sock, SENDER_ADDRESS)
        self._simulation = simulation
        self._peer = sock.peer

    async def finish(self, receive: Call) -> Result:
        await self._simulation.step()
        return self.result(receive)

    async def send(self, data: bytes) -> None:
        sender = () if self._peer.is_stream else (SENDER,)
        self._peer.send(data, *sender)

    async def end(self) -> None:
        self._peer.send_end()

    async def reset(self) -> None:
        self._peer.reset()

    async def register_again(self) -> Result:
        return register_again(self._simulation, self.sock.fileno())


class RealPeer:
    """The peer of a real socket: what it does here has arrived when a method returns.

    Attributes:
      stdlib: the socket.
      peer: its peer; None if that is in another process.
    """

    stdlib: socket.socket
    peer: socket.socket | None

    def count_pending(self) -> int:
        """Count the receives that the kernel has not completed, as far as can be seen."""
        raise NotImplementedError

    async def send(self, data: bytes) -> None:
        assert self.peer is not None
        with until_arrived(self.stdlib, self.count_pending):
            if self.stdlib.type == socket.SOCK_STREAM:
                self.peer.sendall(data)
            else:
                self.peer.sendto(data, self.stdlib.getsockname())

    async def end(self) -> None:
        assert self.peer is not None
        with until_arrived(self.stdlib, self.count_pending):
            self.peer.shutdown(socket.SHUT_WR)

    async def reset(self) -> None:
        with until_arrived(self.stdlib, self.count_pending):
            self.stdlib.send(b"reset\n")


class RealWorld(RealPeer, PackagedWorld):
    """The package on the real Winsock."""

    def __init__(
        self, nursery: trio.Nursery, sock: socket.socket, peer: socket.socket | None, name: Any
    ) -> None:
        super().__init__(nursery, trio_wsarecv.from_stdlib_socket(sock), name)
        self.stdlib, self.peer = self.sock.stdlib, peer

    async def finish(self, receive: Call) -> Result:
        with trio.fail_after(PATIENCE):
            while not receive.done:
                await wait_all_tasks_blocked(0.001)
        return self.result(receive)

    def count_pending(self) -> int:
        operation = operation_of(self.sock)
        return int(operation is not None and operation.status == NtStatus.PENDING)

    async def register_again(self) -> Result:
        return register_again(cast("CompletionPort", trio.lowlevel), self.sock.fileno())
