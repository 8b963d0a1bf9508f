"""Two worlds: the package on the simulation, and the package on the real Winsock."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tests.receiving import SENDER, SENDER_ADDRESS, operation_of, winerror
from tests.simulation import Simulation
from tests.simulation.calls import Call
from trio_wsarecv._engine import port
from trio_wsarecv._winsock.codes import NtStatus
from trio_wsarecv._winsock.operation import Operation

from .scenarios import Code, Result

#: What Windows makes of the statuses that occur here (``RtlNtStatusToDosError``).
WIN32: dict[int, int] = {
    NtStatus.SUCCESS: 0,
    NtStatus.BUFFER_OVERFLOW: Code.MORE_DATA,
    NtStatus.CANCELLED: Code.OPERATION_ABORTED,
    NtStatus.CONNECTION_RESET: Code.NETNAME_DELETED,
    NtStatus.CONNECTION_ABORTED: Code.CONNECTION_ABORTED,
}
ENDINGS = {
    trio.Cancelled: "cancelled",
    trio.ClosedResourceError: "closed",
    trio.BusyResourceError: "busy",
}
PATIENCE = 10.0
UNSEEN = 0.2


def count_completions() -> int:
    """Count the receives that the kernel has accepted."""
    statistics = trio_wsarecv.statistics()
    return statistics.immediate + statistics.pended


def register(register_with_iocp: Callable[[int], None], handle: int) -> Result:
    """Say what comes of an association."""
    try:
        register_with_iocp(handle)
    except OSError as exc:
        return Result("refused", error=winerror(exc))
    return Result("accepted")


class PackagedWorld:
    """A socket of the package that receives, and its peer.

    A method that has the peer do something returns when the kernel here knows.
    """

    def __init__(self, nursery: trio.Nursery, sock: trio_wsarecv.Socket, peer_name: Any) -> None:
        self.sock = sock
        self._nursery = nursery
        self._peer_name = peer_name
        self._completed = 0
        self._operation: Operation | None = None

    async def begin(self, nbytes: int, sender: bool) -> Call:
        """Submit a receive.  One of 0 bytes is into an empty buffer."""
        self._completed = count_completions()
        call = Call(self._nursery, self._receive, nbytes, sender)
        await wait_all_tasks_blocked()
        # A closed socket no longer has it.
        self._operation = operation_of(self.sock)
        return call

    async def _receive(self, nbytes: int, sender: bool) -> tuple[bytes, bool | None]:
        if sender:
            data, address = await self.sock.recvfrom(nbytes)
            return data, address == self._peer_name
        if nbytes:
            return await self.sock.recv(nbytes), None
        received, _ = await trio_wsarecv.wsarecv(self.sock, [bytearray()])
        return bytes(received), None

    async def cancel(self, receive: Call) -> None:
        receive.scope.cancel()

    async def close(self) -> None:
        self.sock.close()

    async def shutdown(self) -> None:
        self.sock.shutdown(socket.SHUT_RD)

    async def register_again(self) -> Result:
        return register(port.completion_port.register_with_iocp, self.sock.fileno())

    def result(self, receive: Call) -> Result:
        operation = self._operation
        completed = operation is not None and count_completions() > self._completed
        code = WIN32[operation.status] if operation is not None and completed else None
        if receive.succeeded:
            data, sender = receive.value
            return Result("received", data, code=code, sender=sender)
        if ending := ENDINGS.get(type(receive.error)):
            return Result(ending, code=code)
        partial = getattr(receive.error, "partial", None)
        ending = "failed" if partial is None else "cut off"
        return Result(ending, partial or b"", winerror(receive.error), code)


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
        self._peer.send(data) if self._peer.is_stream else self._peer.send(data, SENDER)

    async def end(self) -> None:
        self._peer.send_end()

    async def reset(self) -> None:
        self._peer.reset()


class RealPeer:
    """The peer of a real socket, which is in another process if there is none here."""

    stdlib: socket.socket
    peer: socket.socket | None

    def count_pending(self) -> int:
        """Count the receives that the kernel has not completed, as far as can be seen."""
        raise NotImplementedError

    @contextmanager
    def _until_arrived(self) -> Iterator[socket.socket]:
        # Waits until what the peer does has ended a pending receive, or can be received.
        before = self.count_pending()
        yield self.peer or self.stdlib
        if before:
            # Windows may write the result when the packet is dequeued: then nothing shows earlier.
            deadline = time.monotonic() + UNSEEN
            while self.count_pending() == before and time.monotonic() < deadline:
                time.sleep(0.001)
        else:
            assert select.select([self.stdlib], [], [], PATIENCE)[0]

    async def send(self, data: bytes) -> None:
        with self._until_arrived() as peer:
            if self.stdlib.type == socket.SOCK_STREAM:
                peer.sendall(data)
            else:
                peer.sendto(data, self.stdlib.getsockname())

    async def end(self) -> None:
        with self._until_arrived() as peer:
            peer.shutdown(socket.SHUT_WR)

    async def reset(self) -> None:
        with self._until_arrived():
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
