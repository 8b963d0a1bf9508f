"""Three worlds: the package on the simulation and on the real Winsock, and CPython's calls."""

from __future__ import annotations

import enum
import importlib
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

import trio_wsarecv
from tests.receiving import SENDER, SENDER_ADDRESS, on_windows, operation_of, winerror
from tests.simulation import Call, Simulation
from trio_wsarecv._winsock.codes import NtStatus
from trio_wsarecv._winsock.operation import Operation

#: The module under asyncio's proactor.
_overlapped: Any = importlib.import_module("_overlapped") if on_windows else None


class Code(enum.IntEnum):
    """The codes of Win32 and Winsock that occur here."""

    INVALID_HANDLE = 6
    NETNAME_DELETED = 64
    MORE_DATA = 234
    HANDLES_CLOSED = 676
    OPERATION_ABORTED = 995
    CONNECTION_ABORTED = 1236
    WSAEMSGSIZE = 10040
    WSAECONNRESET = 10054
    WSAESHUTDOWN = 10058


#: What Windows makes of the statuses that occur here (``RtlNtStatusToDosError``).
WIN32: dict[int, int] = {
    NtStatus.SUCCESS: 0,
    NtStatus.BUFFER_OVERFLOW: Code.MORE_DATA,
    NtStatus.CANCELLED: Code.OPERATION_ABORTED,
    NtStatus.CONNECTION_RESET: Code.NETNAME_DELETED,
    NtStatus.CONNECTION_ABORTED: Code.CONNECTION_ABORTED,
}
#: The codes of a receive whose socket is closed, on Windows and on Wine.
CLOSED_CODES = (
    *(Code.INVALID_HANDLE, Code.HANDLES_CLOSED, Code.OPERATION_ABORTED, Code.CONNECTION_ABORTED),
)
ENDINGS = {
    trio.Cancelled: "cancelled",
    trio.ClosedResourceError: "closed",
    trio.BusyResourceError: "busy",
}
PATIENCE = 10.0
UNSEEN = 0.2


@dataclass(frozen=True)
class Result:
    """How a receive ended.

    Attributes:
      ending: "received", "cut off", "cancelled", "closed", "busy" or "failed".
      data: the bytes.
      error: the Winsock error.
      code: the Win32 code of the completion, where there was one and it can be seen.
    """

    ending: str
    data: bytes = b""
    error: int | None = None
    code: int | None = None

    def agrees_with(self, other: Result) -> bool:
        """Compare; the codes count only where both have one."""
        if self.code is None or other.code is None:
            return replace(self, code=None) == replace(other, code=None)
        return self == other


class World:
    """A socket that receives, and its peer.  A datagram that is received has to be the peer's.

    A method that has the peer do something returns when the kernel here knows.
    """

    sock: Any
    peer_name: Any

    def close(self) -> None:
        self.sock.close()

    def shutdown(self) -> None:
        self.sock.shutdown(socket.SHUT_RD)


def count_completions() -> int:
    """Count the receives that the kernel has accepted."""
    statistics = trio_wsarecv.statistics()
    return statistics.immediate + statistics.pended


class PackagedWorld(World):
    """A socket of the package that receives."""

    def __init__(self, nursery: trio.Nursery, sock: trio_wsarecv.Socket, peer_name: Any) -> None:
        self.sock = sock
        self.peer_name = peer_name
        self._nursery = nursery
        self._completed = 0
        self._operation: Operation | None = None

    async def begin(self, nbytes: int) -> Call:
        """Submit a receive.  One of 0 bytes is into an empty buffer."""
        self._completed = count_completions()
        call = Call(self._nursery, self._receive, nbytes)
        await wait_all_tasks_blocked()
        # A closed socket no longer has it.
        self._operation = operation_of(self.sock)
        return call

    async def _receive(self, nbytes: int) -> Any:
        if self.sock.type == socket.SOCK_DGRAM:
            data, address = await self.sock.recvfrom(nbytes)
            assert address == self.peer_name
            return data
        if nbytes:
            return await self.sock.recv(nbytes)
        received, _ = await trio_wsarecv.wsarecv(self.sock, [bytearray()])
        return bytes(received)

    def cancel(self, receive: Call) -> None:
        receive.scope.cancel()

    def result(self, receive: Call) -> Result:
        operation = self._operation
        completed = operation is not None and count_completions() > self._completed
        code = WIN32[operation.status] if operation is not None and completed else None
        if receive.succeeded:
            return Result("received", receive.value, code=code)
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
        super().__init__(nursery, make(), SENDER_ADDRESS)
        self._simulation = simulation
        self._peer = self.sock.peer

    async def finish(self, receive: Call) -> Result:
        await self._simulation.step()
        return self.result(receive)

    def send(self, data: bytes) -> None:
        self._peer.send(data) if self._peer.is_stream else self._peer.send(data, SENDER)

    def end(self) -> None:
        self._peer.send_end()

    def reset(self) -> None:
        self._peer.reset()


class RealPeer(World):
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

    def send(self, data: bytes) -> None:
        with self._until_arrived() as peer:
            if self.stdlib.type == socket.SOCK_STREAM:
                peer.sendall(data)
            else:
                peer.sendto(data, self.stdlib.getsockname())

    def end(self) -> None:
        with self._until_arrived() as peer:
            peer.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
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


class OverlappedWorld(RealPeer):
    """A socket with a completion port of its own, and CPython's own ``_overlapped``."""

    def __init__(self, sock: socket.socket, peer: socket.socket | None, name: Any) -> None:
        self.sock = self.stdlib = sock
        self.peer = peer
        self.peer_name = name
        self._port = _overlapped.CreateIoCompletionPort(_overlapped.INVALID_HANDLE_VALUE, 0, 0, 1)
        _overlapped.CreateIoCompletionPort(sock.fileno(), self._port, 0, 0)
        self._overlapped: list[Any] = []
        self._refusals: dict[int, OSError] = {}
        self._codes: dict[int, int] = {}

    def close(self) -> None:
        self.sock.close()
        # Otherwise memory that the kernel still has would be freed.
        while self.count_pending():
            self._dequeue()

    async def begin(self, nbytes: int) -> Any:
        overlapped = _overlapped.Overlapped(0)
        self._overlapped.append(overlapped)
        is_stream = self.sock.type == socket.SOCK_STREAM
        try:
            submit = overlapped.WSARecv if is_stream else overlapped.WSARecvFrom
            submit(self.sock.fileno(), nbytes, 0)
        except OSError as exc:
            self._refusals[overlapped.address] = exc
        return overlapped

    def cancel(self, overlapped: Any) -> None:
        overlapped.cancel()

    def _dequeue(self) -> None:
        packet = _overlapped.GetQueuedCompletionStatus(self._port, 100)
        if packet is not None:
            code, _, _, address = packet
            self._codes[address] = code

    async def finish(self, overlapped: Any) -> Result:
        address = overlapped.address
        refusal = self._refusals.pop(address, None)
        deadline = time.monotonic() + (0.5 if refusal else PATIENCE)
        while address not in self._codes and time.monotonic() < deadline:
            self._dequeue()
        code = self._codes.pop(address, None)
        if refusal is not None:
            return Result("failed", error=winerror(refusal), code=code)
        assert code is not None, "no packet came"
        try:
            value = overlapped.getresult()
        except OSError as exc:
            error = winerror(exc)
            if self.sock.fileno() == -1 and error in CLOSED_CODES:
                return Result("closed", code=code)
            if error == Code.OPERATION_ABORTED:
                return Result("cancelled", code=code)
            is_reset = error == Code.NETNAME_DELETED
            return Result("failed", error=Code.WSAECONNRESET if is_reset else error, code=code)
        if self.sock.type == socket.SOCK_DGRAM:
            value, name = value
            assert name == self.peer_name
        return Result("received", value, code=code)

    def count_pending(self) -> int:
        return sum(overlapped.pending for overlapped in self._overlapped)
