"""``ws2_32.dll``: the calls, between the package's memory and the kernel.

A call that fails does not write ``OVERLAPPED.InternalHigh`` and the byte count, and leaves
``Internal`` with STATUS_PENDING or as it was.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from trio_wsarecv._winsock.codes import MsgFlag, WinsockError

from .behaviour import FlagsOut
from .errors import INLINE_ERRORS, ThreadBlocked
from .kernel import Event, Kernel
from .memory import address_of, real
from .request import Request
from .sending import SOCKET_ERROR, SendCalls

SIO_GET_EXTENSION_FUNCTION_POINTER = 0xC8000006
SOCKADDR_SIZE = 16

#: Functions to ask for, by their GUIDs.
EXTENSIONS = {
    "f689d7c8-6f1f-436b-8a53-e54fe351c322": "WSARecvMsg",
    "a441e712-754f-43ca-84a7-0dee44cf606d": "WSASendMsg",
}

#: What an NTSTATUS says about the bytes received, as flags of the call.
STATUS_FLAGS = {
    0x4000000F: MsgFlag.MSG_PARTIAL,
    0x40000010: MsgFlag.MSG_OOB,
    0x40000011: MsgFlag.MSG_PARTIAL | MsgFlag.MSG_OOB,
}


class Ws2(SendCalls):
    """The functions of ``ws2_32.dll``.

    Attributes:
      on_call: called at the end of every overlapped call that receives, before it returns.
      ioctls: the handle, the code and the argument of each ``WSAIoctl``.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._last_error = 0
        self.on_call: Callable[[], None] = lambda: None
        self.ioctls: list[tuple[int, int, bytes]] = []
        self._pointers = {
            name: real.callback(f"LPFN_{name.upper()}", getattr(self, name), SOCKET_ERROR)
            for name in EXTENSIONS.values()
        }

    def WSARecv(self, s: int, *arguments: Any) -> int:
        buffers, count, received, flags, overlapped, routine = arguments
        request = self._request(s, overlapped, buffers, count, flags[0])
        code = 0 if count else WinsockError.WSAEINVAL
        return self._receive(request, code, received, routine, flags=flags)

    def WSARecvFrom(self, s: int, *arguments: Any) -> int:
        buffers, count, received, flags, sender, sender_size, overlapped, routine = arguments
        request = self._request(s, overlapped, buffers, count, flags[0])
        code = 0 if count else WinsockError.WSAEINVAL
        if request is not None:
            request.sender, request.sender_size = address_of(sender), address_of(sender_size)
            if sender and not request.endpoint.is_stream and sender_size[0] < SOCKADDR_SIZE:
                code = WinsockError.WSAEFAULT
        return self._receive(request, code, received, routine, flags=flags)

    def WSARecvMsg(self, s: int, *arguments: Any) -> int:
        message, received, overlapped, routine = arguments
        if not message or self._kernel.choices.message_faults:
            return self._fail(WinsockError.WSAEFAULT)
        buffers, count, flags = message.lpBuffers, message.dwBufferCount, message.dwFlags
        request = self._request(s, overlapped, buffers, count, flags)
        code = 0
        if request is not None:
            request.message = address_of(message)
            if request.endpoint.is_stream:
                code = WinsockError.WSAEOPNOTSUPP
            elif message.Control.buf and not message.Control.len:
                code = WinsockError.WSAEFAULT
        return self._receive(request, code, received, routine, flags=None)

    def WSAIoctl(self, s: int, code: int, *arguments: Any) -> int:
        given, given_size, result, result_size, returned, _, _ = arguments
        if s < 0:
            raise OverflowError("can't convert negative number to unsigned")
        if self._kernel.endpoint(s) is None:
            return self._fail(WinsockError.WSAENOTSOCK)
        if result_size != (real.sizeof("uintptr_t") if result else 0):
            return self._fail(WinsockError.WSAEFAULT)
        data = bytes(real.buffer(given, given_size)) if given_size else b""
        self.ioctls.append((s, code, data))
        if code == SIO_GET_EXTENSION_FUNCTION_POINTER:
            pointer = self._pointers[EXTENSIONS[str(uuid.UUID(bytes_le=data))]]
            real.cast("uintptr_t *", result)[0] = address_of(pointer)
            real.cast("DWORD *", returned)[0] = real.sizeof("uintptr_t")
        return 0

    def WSAGetLastError(self) -> int:
        return self._last_error

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

    def _receive(
        self, request: Request | None, code: int, received: Any, routine: Any, *, flags: Any
    ) -> int:
        if request is None:
            return self._fail(WinsockError.WSAENOTSOCK)
        flags_out = self._kernel.choices.flags_out
        if flags is not None and flags_out is FlagsOut.ZEROED:
            flags[0] = 0
        if faults := request.faults(self._kernel.memory):
            self._kernel.complaints.extend(faults)
            code = WinsockError.WSAEFAULT
        if request.address:
            code = self._submit(request, code, received, routine)
        elif not code:
            code = self._receive_without_overlapped(request)
        if code in (0, WinsockError.WSAEMSGSIZE) and request.result is not None and received:
            received[0] = len(request.result.data)
        if code:
            return self._fail(code)
        if flags is not None and request.result is not None and flags_out is not FlagsOut.LEFT:
            flags[0] = STATUS_FLAGS.get(request.result.status, 0)
        return 0

    def _submit(self, request: Request, code: int, received: Any, routine: Any) -> int:
        kernel, endpoint = self._kernel, request.endpoint
        kernel.log.append(Event("receive", request.handle, request.address))
        if kernel.strict:
            self._check(request, received, routine)
        if routine and endpoint.is_associated:
            code = WinsockError.WSAEINVAL
        internal = request.overlapped.Internal
        try:
            code = code or endpoint.submit(request)
        except ThreadBlocked:
            kernel.complain("a receive was submitted that blocks the thread")
            raise
        if code and not request.done and request not in endpoint.requests:
            left = kernel.choices.left_by_failure
            request.overlapped.Internal = internal if left is None else left
        self.on_call()
        return code

    def _check(self, request: Request, received: Any, routine: Any) -> None:
        endpoint, complain = request.endpoint, self._kernel.complain
        skips = endpoint.skips_on_success
        if received and not skips:
            complain("an overlapped receive was given a place for the byte count")
        if skips and not received and not request.message:
            complain("in skip mode, a receive was given no place for the byte count")
        if routine:
            complain("a receive was given a completion routine")
        if not endpoint.overlapped_io or not endpoint.is_associated:
            complain("a receive was submitted whose packet could never come")

    def _receive_without_overlapped(self, request: Request) -> int:
        try:
            result = request.endpoint.receive(request)
        except OSError as exc:
            return int(getattr(exc, "winerror", 0))
        request.complete(result)
        return INLINE_ERRORS.get(result.status, 0)
