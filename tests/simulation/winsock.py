"""``ws2_32.dll`` and ``kernel32.dll``: the calls, between the package's memory and the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trio_wsarecv._codes import MsgFlag, WinsockError

from .endpoint import AT_ONCE
from .errors import ERROR_INVALID_HANDLE, ERROR_NOT_FOUND
from .kernel import Event
from .memory import address_of, real
from .request import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from .kernel import Kernel

SOCKET_ERROR = -1
SIO_GET_EXTENSION_FUNCTION_POINTER = 0xC8000006


class Ws2:
    """The functions of ``ws2_32.dll``.

    Attributes:
      on_call: called in the middle of every receive, for what may happen right there.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._last_error = 0
        self.on_call: Callable[[], None] = lambda: None
        self.ioctls: list[tuple[int, int, bytes]] = []
        self._message_pointer = real.callback("LPFN_WSARECVMSG", self.WSARecvMsg, SOCKET_ERROR)

    def WSARecv(
        self,
        s: int,
        lpBuffers: Any,
        dwBufferCount: int,
        lpNumberOfBytesRecvd: Any,
        lpFlags: Any,
        lpOverlapped: Any,
        lpCompletionRoutine: Any,
        /,
    ) -> int:
        self._check(lpOverlapped, lpNumberOfBytesRecvd, lpCompletionRoutine)
        request = self._request(s, lpOverlapped, lpBuffers, dwBufferCount, lpFlags[0])
        return self._receive(s, request, lpNumberOfBytesRecvd)

    def WSARecvFrom(
        self,
        s: int,
        lpBuffers: Any,
        dwBufferCount: int,
        lpNumberOfBytesRecvd: Any,
        lpFlags: Any,
        lpFrom: Any,
        lpFromlen: Any,
        lpOverlapped: Any,
        lpCompletionRoutine: Any,
        /,
    ) -> int:
        self._check(lpOverlapped, lpNumberOfBytesRecvd, lpCompletionRoutine)
        request = self._request(s, lpOverlapped, lpBuffers, dwBufferCount, lpFlags[0])
        if request is not None:
            request.sender = address_of(lpFrom)
            request.sender_size = address_of(lpFromlen)
        return self._receive(s, request, lpNumberOfBytesRecvd)

    def WSARecvMsg(
        self, s: int, lpMsg: Any, lpNumberOfBytesRecvd: Any, lpOverlapped: Any, routine: Any, /
    ) -> int:
        self._check(lpOverlapped, lpNumberOfBytesRecvd, routine)
        endpoint = self._kernel.endpoint(s)
        if endpoint is not None and endpoint.is_stream:
            return self._fail(WinsockError.WSAEOPNOTSUPP)
        if lpMsg.Control.buf and not lpMsg.Control.len:
            return self._fail(WinsockError.WSAEFAULT)
        request = self._request(
            s, lpOverlapped, lpMsg.lpBuffers, lpMsg.dwBufferCount, lpMsg.dwFlags
        )
        if request is not None:
            request.message = address_of(lpMsg)
        return self._receive(s, request, lpNumberOfBytesRecvd)

    def WSAIoctl(
        self,
        s: int,
        dwIoControlCode: int,
        lpvInBuffer: Any,
        cbInBuffer: int,
        lpvOutBuffer: Any,
        cbOutBuffer: int,
        lpcbBytesReturned: Any,
        lpOverlapped: Any,
        lpCompletionRoutine: Any,
        /,
    ) -> int:
        if self._kernel.endpoint(s) is None:
            return self._fail(WinsockError.WSAENOTSOCK)
        given = bytes(real.buffer(lpvInBuffer, cbInBuffer)) if cbInBuffer else b""
        self.ioctls.append((s, dwIoControlCode, given))
        if dwIoControlCode == SIO_GET_EXTENSION_FUNCTION_POINTER:
            real.cast("uintptr_t *", lpvOutBuffer)[0] = address_of(self._message_pointer)
            real.cast("DWORD *", lpcbBytesReturned)[0] = real.sizeof("uintptr_t")
        return 0

    def WSAGetLastError(self) -> int:
        return self._last_error

    def _check(self, overlapped: Any, received: Any, routine: Any) -> None:
        if overlapped and received:
            self._kernel.complain("an overlapped receive was given a place for the byte count")
        if routine:
            self._kernel.complain("a receive was given a completion routine")

    def _fail(self, code: int) -> int:
        self._last_error = code
        return SOCKET_ERROR

    def _request(
        self, handle: int, overlapped: Any, buffers: Any, count: int, flags: int
    ) -> Request | None:
        if handle < 0:
            raise OverflowError("can't convert negative number to unsigned")
        endpoint = self._kernel.endpoint(handle)
        if endpoint is None:
            self._kernel.complain("a receive was submitted on a handle that is not open")
            return None
        return Request(
            endpoint,
            handle,
            address_of(overlapped),
            [(address_of(buffers[i].buf), buffers[i].len) for i in range(count)],
            MsgFlag(flags),
        )

    def _receive(self, handle: int, request: Request | None, received: Any) -> int:
        if request is None:
            return self._fail(WinsockError.WSAENOTSOCK)
        if not request.address:
            return self._receive_at_once(request, received)
        self._kernel.log.append(Event("receive", handle, request.address))
        endpoint = request.endpoint
        if not endpoint.overlapped_io or not endpoint.is_associated:
            self._kernel.complain("a receive was submitted whose packet could never come")
        for fault in request.faults(self._kernel.memory):
            self._kernel.complain(fault)
        internal = request.overlapped.Internal
        code = endpoint.submit(request)
        if code and not request.done and request not in endpoint.requests:
            left = self._kernel.behaviour.internal_after_failure()
            request.overlapped.Internal = internal if left is None else left
        self.on_call()
        return self._fail(code) if code else 0

    def _receive_at_once(self, request: Request, received: Any) -> int:
        try:
            result = request.endpoint.receive(request.capacity, request.flags)
        except OSError as exc:
            return self._fail(getattr(exc, "winerror", 0))
        for fault in request.faults(self._kernel.memory):
            self._kernel.complain(fault)
        request.write_data(result)
        received[0] = len(result.data)
        return self._fail(AT_ONCE[result.status]) if result.status in AT_ONCE else 0


class Kernel32:
    """The functions of ``kernel32.dll``.

    Attributes:
      on_call: called at the beginning of every cancellation.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.last_error = 0
        self.on_call: Callable[[], None] = lambda: None

    def CancelIoEx(self, hFile: int, lpOverlapped: Any, /) -> int:
        self.on_call()
        return self.cancel(hFile, address_of(lpOverlapped))

    def cancel(self, handle: int, address: int) -> int:
        self._kernel.log.append(Event("cancel", handle, address))
        endpoint = self._kernel.endpoint(handle)
        if endpoint is None:
            self._kernel.complain("a closed handle was given to CancelIoEx")
            self.last_error = ERROR_INVALID_HANDLE
            return 0
        for request in endpoint.requests:
            if request.address == address:
                if endpoint.cancel(request):
                    return 1
                break
        self.last_error = ERROR_NOT_FOUND
        return 0
