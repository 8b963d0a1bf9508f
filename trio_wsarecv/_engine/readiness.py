"""The readiness engines: wait until the socket is readable, then receive without blocking.

They are for sockets on which overlapped receives are impossible, or would bypass methods of the
program's own.  A non-blocking receive without data has no effect, so cancelling loses nothing.

On Windows they make the same calls as the overlapped engine, without an ``OVERLAPPED``.  Off
Windows, and for a socket class of the program's own, they call the standard library.
"""

from __future__ import annotations

import socket
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final

import outcome
import trio

from .._statistics import counters
from .._winsock import calls
from .._winsock.buffers import parts_of
from .._winsock.codes import MsgFlag
from .._winsock.operation import MIN_RECEIVE_SIZE
from .._winsock.status import Mode
from .claim import busy_error
from .engine import Engine, closed_error
from .memory import MAX_RECEIVE_SIZE
from .requests import MAX_RECEIVE, PEEK, TRUNCATED
from .winsock import WinsockEngine, is_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

    from .._winsock.parse import AncillaryData
    from .claim import Claim
    from .memory import Run
    from .pushed_back import PushedBack
    from .requests import Answer, Request

# These flags have other values off Windows.
_NATIVE_FLAGS: Final = [
    (getattr(socket, flag.name or "", 0), flag) for flag in (MsgFlag.MSG_OOB, MsgFlag.MSG_TRUNC)
]

# More frames than Trio needs to wait.
_FRAMES: Final = 30


def need_frames(count: int) -> None:
    """Raise `RecursionError` if the stack has no room for so many frames."""
    if count:
        need_frames(count - 1)


class Readiness(Engine):
    """Receives when the socket is readable."""

    __slots__ = ()

    @abstractmethod
    def attempt(self, sock: socket.socket, request: Request[Any], most: int) -> Answer[Any]:
        """Receive without blocking, or raise `BlockingIOError`."""

    async def receive(self, sock: socket.socket, request: Request[Any], most: int) -> Answer[Any]:
        # A RecursionError in the middle of Trio's wait would leave a task registered that does not
        # sleep, and that ends the run.
        need_frames(_FRAMES)
        counters.readiness += 1
        pended = False
        result = outcome.capture(self.attempt, sock, request, most)
        while isinstance(result, outcome.Error) and isinstance(result.error, BlockingIOError):
            if not self.may_wait:
                raise busy_error()
            if not pended:
                counters.pended += 1
            pended = self.waited = True
            self.claim.waits(trio.lowlevel.current_task())
            try:
                await trio.lowlevel.wait_readable(sock)
            except BaseException as exc:
                self.claim.ends()
                counters.cancelled += isinstance(exc, trio.Cancelled)
                raise
            if sock.fileno() == -1:
                raise closed_error()
            result = outcome.capture(self.attempt, sock, request, most)
        if not pended:
            counters.immediate += 1
        if isinstance(result, outcome.Error) and isinstance(result.error, OSError):
            counters.failed += 1
        answer: Answer[Any] = result.unwrap()
        return answer


class WinsockReadiness(Readiness, WinsockEngine):
    """Receives on one socket by Winsock's calls."""

    __slots__ = ()

    def attempt(self, sock: socket.socket, request: Request[Any], most: int) -> Answer[Any]:
        operation = self._operation_for(sock, request)
        try:
            nbytes = min(request.room, MAX_RECEIVE)
            if request.wants > MIN_RECEIVE_SIZE and self.is_stream:
                nbytes = self._borrow(operation, min(request.wants, MAX_RECEIVE_SIZE), ask=False)
            request.prepare(operation, nbytes)
            counters.not_overlapped += 1
            error = operation.receive_nonblocking()
            if error and self._can_do_without_messages(operation, request, error):
                return self.attempt(sock, request, most)
            if error:
                raise calls.winsock_error(error)
            received, flags = operation.memory.received, operation.memory.flags & ~request.flags
            if received > operation.room:
                received, flags = operation.room, flags | TRUNCATED
            if request.flags & PEEK:  # the bytes stay in the kernel
                return request.complete(operation, received, flags)
            counters.bytes += received
            if not self.is_stream:
                counters.datagrams += 1
                counters.truncated += bool(flags & TRUNCATED)
            try:
                answer = request.complete(operation, received, flags)
            except BaseException as exc:
                self._keep_unless_result(exc, operation, request, received, flags)
                raise
            if most:
                answer = [answer]
                self._receive_more(operation, request, answer, most)
            return answer
        finally:
            self._release(operation)


class StdlibReadiness(Readiness):
    """Receives on one socket by the standard library's calls."""

    __slots__ = ("_by_winsock",)

    def __init__(
        self, sock: socket.socket, run: Run, claim: Claim, pushed_back: PushedBack
    ) -> None:
        super().__init__(run, claim, pushed_back)
        # For calls that the standard library does not have on Windows.
        self._by_winsock: WinsockReadiness | None = None
        if not hasattr(sock, "recvmsg"):
            self._by_winsock = WinsockReadiness(sock, Mode.DEFAULT, run, claim, pushed_back)

    def attempt(self, sock: socket.socket, request: Request[Any], most: int) -> Answer[Any]:
        if self._by_winsock is not None and not hasattr(sock, request.method):
            return self._by_winsock.attempt(sock, request, most)
        answer, is_end = self._receive_one(sock, request)
        if not most:
            return answer
        batch = [answer]
        # What fails here is raised by the next call; this one returns the batch.
        try:
            while len(batch) < most and not is_end:
                answer, is_end = self._receive_one(sock, request)
                batch.append(answer)
        except BlockingIOError:
            pass
        except BaseException as exc:
            self.pushed_back.defer(exc, first=True)
        return batch

    def _receive_one(self, sock: socket.socket, request: Request[Any]) -> tuple[Any, bool]:
        # Returns the answer, and whether it is the end of a connection of messages: no bytes and no
        # sender.  That could be received again and again.
        call = StdlibCall(is_stream=sock.type == socket.SOCK_STREAM)
        request.prepare(call, min(request.room, MAX_RECEIVE))
        nbytes, flags = call.receive(sock, request.method)
        if not request.flags & PEEK:
            counters.bytes += nbytes
            if not call.is_stream:
                counters.datagrams += 1
                counters.truncated += bool(flags & TRUNCATED)
        try:
            return request.complete(call, nbytes, flags), not nbytes and call.sender() is None
        except BaseException as exc:
            if request.flags & PEEK or is_result(exc):
                pass
            elif call.is_stream:
                self.pushed_back.add(request.part(call, nbytes))
            else:
                self.pushed_back.add_datagram(request.part(call, nbytes), call, flags)
            raise


class StdlibCall:
    """One call of the standard library, as a request prepares it, and what it gave."""

    def __init__(self, *, is_stream: bool) -> None:
        self.is_stream = is_stream
        self._nbytes = self._offset = self._flags = self._control_size = 0
        self._buffers: Sequence[Buffer] = ()
        self._data = b""
        self._sender: Any = None
        self._came_along: tuple[AncillaryData, int] = ([], 0)

    def set_memory(self, nbytes: int, flags: int) -> None:
        """Receive up to ``nbytes`` bytes, to be made a result."""
        self._nbytes, self._flags = nbytes, flags

    def set_buffer(self, buffer: Buffer, offset: int, nbytes: int, flags: int) -> None:
        """Receive up to ``nbytes`` bytes into a buffer, from an offset on."""
        self.set_buffers([buffer], offset, nbytes, flags)

    def set_buffers(self, buffers: Sequence[Buffer], offset: int, nbytes: int, flags: int) -> None:
        """Receive up to ``nbytes`` bytes into several buffers, as if they were one."""
        self._buffers, self._offset, self._nbytes, self._flags = buffers, offset, nbytes, flags

    def set_control_size(self, size: int) -> None:
        """Have room for so many bytes of control messages."""
        self._control_size = size

    def receive(self, sock: Any, method: str) -> tuple[int, int]:
        """Call a method of the standard library; return the number of bytes, and flags."""
        nbytes, flags, control_size = self._nbytes, self._flags, self._control_size
        native = 0
        if method == "recv":
            self._data = sock.recv(nbytes, flags)
        elif method == "recvfrom":
            self._data, self._sender = sock.recvfrom(nbytes, flags)
        elif method == "recvmsg":
            self._data, ancillary, native, self._sender = sock.recvmsg(nbytes, control_size, flags)
            self._came_along = ancillary, native
        else:
            with parts_of(self._buffers, self._offset) as parts:
                if method == "recvmsg_into":
                    nbytes, *rest = sock.recvmsg_into(parts, control_size, flags)
                    ancillary, native, self._sender = rest
                    self._came_along = ancillary, native
                elif method == "recvfrom_into":
                    nbytes, self._sender = sock.recvfrom_into(parts[0], nbytes, flags)
                else:
                    nbytes = sock.recv_into(parts[0], nbytes, flags)
            return nbytes, _portable(native)
        return len(self._data), _portable(native)

    def unpack(self, nbytes: int) -> bytes:
        """Return the bytes that were received."""
        return self._data

    def view(self, nbytes: int) -> memoryview:
        """Return a view of them."""
        return memoryview(self._data)

    def sender(self) -> Any:
        """Return the address that they came from."""
        return self._sender

    def message(self, flags: int, control_size: int) -> tuple[AncillaryData, int, Any]:
        """Return control messages, flags and address; the flags are the system's."""
        return *self._came_along, self._sender


def _portable(native: int) -> int:
    return sum(int(flag) for value, flag in _NATIVE_FLAGS if native & value)
