"""The DLLs: the calls, between the package's memory and the kernel.

A call that fails does not write ``OVERLAPPED.InternalHigh`` and the byte count, and leaves
``Internal`` with STATUS_PENDING or as it was.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from trio_wsarecv._winsock.codes import MsgFlag, WinsockError

from .behaviour import FlagsOut
from .kernel import Endpoint, Event, Kernel
from .memory import address_of, peek, real
from .request import Request
from .sending import Sent

ERROR_INVALID_PARAMETER = 87
ERROR_NOT_FOUND = 1168
SOCKET_ERROR = -1
FILE_SKIP_COMPLETION_PORT_ON_SUCCESS = 1
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


class Ws2:
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
        request = self._request(s, buffers, count, flags[0], overlapped)
        return self._receive(request, received, routine, flags=flags)

    def WSARecvFrom(self, s: int, *arguments: Any) -> int:
        buffers, count, received, flags, sender, sender_size, overlapped, routine = arguments
        request = self._request(s, buffers, count, flags[0], overlapped)
        request.sender, request.sender_size = address_of(sender), address_of(sender_size)
        code = 0
        if sender and not request.is_stream and sender_size[0] < SOCKADDR_SIZE:
            code = WinsockError.WSAEFAULT
        return self._receive(request, received, routine, flags=flags, code=code)

    def WSARecvMsg(self, s: int, *arguments: Any) -> int:
        message, received, overlapped, routine = arguments
        if not message or self._kernel.choices.message_faults:
            return self._fail(WinsockError.WSAEFAULT)
        buffers, count, flags = message.lpBuffers, message.dwBufferCount, message.dwFlags
        request = self._request(s, buffers, count, flags, overlapped)
        request.message = address_of(message)
        code = WinsockError.WSAEOPNOTSUPP if request.is_stream else 0
        return self._receive(request, received, routine, code=code)

    def WSASend(self, s: int, *arguments: Any) -> int:
        buffers, count, sent, flags, *waiting = arguments
        assert not any(waiting)  # nobody waits for the packet of a send
        return self._send("WSASend", s, buffers, count, sent, flags)

    def WSASendTo(self, s: int, *arguments: Any) -> int:
        buffers, count, sent, flags, name, namelen, *waiting = arguments
        assert not any(waiting)
        address = self._read("address", name, namelen)
        return self._send("WSASendTo", s, buffers, count, sent, flags, address)

    def WSASendMsg(self, s: int, *arguments: Any) -> int:
        message, flags, sent, *waiting = arguments
        assert not any(waiting)
        control = message.Control
        if self._kernel.choices.message_faults or bool(control.buf) != bool(control.len):
            return self._fail(WinsockError.WSAEFAULT)
        if self._kernel.endpoint(s).is_stream:
            return self._fail(WinsockError.WSAEINVAL)
        if address_of(control.buf) % real.sizeof("uintptr_t"):
            self._kernel.complain("a control buffer is not aligned")
        buffers, count = message.lpBuffers, message.dwBufferCount
        address = self._read("address", message.name, message.namelen)
        data = self._read("control data", control.buf, control.len)
        return self._send("WSASendMsg", s, buffers, count, sent, flags, address, data)

    def WSAIoctl(self, s: int, code: int, *arguments: Any) -> int:
        given, given_size, result, result_size, returned, _, _ = arguments
        assert self._kernel.endpoint(s)
        assert result_size == (real.sizeof("uintptr_t") if result else 0)
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
        self, handle: int, buffers: Any, count: int, flags: int, overlapped: Any
    ) -> Request:
        is_stream = self._kernel.endpoint(handle).is_stream
        targets = [(address_of(buffers[i].buf), buffers[i].len) for i in range(count)]
        address = address_of(overlapped)
        return Request(self._kernel.memory, is_stream, handle, address, targets, MsgFlag(flags))

    def _receive(
        self, request: Request, received: Any, routine: Any, *, flags: Any = None, code: int = 0
    ) -> int:
        kernel = self._kernel
        endpoint, choices = kernel.endpoint(request.handle), kernel.choices
        if flags is not None and choices.flags_out is FlagsOut.ZEROED:
            flags[0] = 0
        if not request.buffers or (routine and endpoint.is_associated):
            code = WinsockError.WSAEINVAL
        if faults := request.faults():
            kernel.complaints.extend(faults)
            code = WinsockError.WSAEFAULT
        if not request.address:
            code = code or endpoint.submit(request)
        else:
            kernel.log.append(Event("receive", request.handle, request.address))
            if kernel.strict:
                self._check(endpoint, request, received)
            before = request.overlapped.Internal
            code = code or endpoint.submit(request)
            if code not in (0, WinsockError.WSA_IO_PENDING) and not request.done:
                left = choices.left_by_failure
                request.overlapped.Internal = before if left is None else left
            self.on_call()
        result = request.result if code in (0, WinsockError.WSAEMSGSIZE) else None
        if result is not None and received:
            received[0] = len(result.data)
        if code:
            return self._fail(code)
        if result is not None and flags is not None and choices.flags_out is not FlagsOut.LEFT:
            flags[0] = STATUS_FLAGS.get(result.status, 0)
        return 0

    def _check(self, endpoint: Endpoint, request: Request, received: Any) -> None:
        complain, skips = self._kernel.complain, endpoint.skips_on_success
        if received and not skips:
            complain("an overlapped receive was given a place for the byte count")
        if skips and not received and not request.message:
            complain("in skip mode, a receive was given no place for the byte count")
        if not endpoint.overlapped_io or not endpoint.is_associated:
            complain("a receive was submitted whose packet could never come")

    def _read(self, what: str, pointer: Any, nbytes: int) -> bytes:
        if not nbytes:
            return b""
        if fault := self._kernel.memory.fault(address_of(pointer), nbytes):
            self._kernel.complain(f"the {what} of a send {fault}")
            return b""
        return peek(address_of(pointer), nbytes)

    def _send(
        self,
        call: str,
        handle: int,
        buffers: Any,
        count: int,
        sent: Any,
        flags: int,
        name: bytes = b"",
        control: bytes = b"",
    ) -> int:
        if not count:
            return self._fail(WinsockError.WSAEINVAL)
        data = b"".join(self._read("buffer", buffers[i].buf, buffers[i].len) for i in range(count))
        nbytes = self._kernel.endpoint(handle).outgoing.take(Sent(call, data, name, control, flags))
        if nbytes < 0:
            return self._fail(-nbytes)
        sent[0] = nbytes
        return 0


class Kernel32:
    """The functions of ``kernel32.dll``.

    Attributes:
      on_call: called at the beginning of every cancellation.
      last_error: the code of the last call that failed.
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
        if self._kernel.endpoint(handle).cancel(address):
            return 1
        self.last_error = ERROR_NOT_FOUND
        return 0

    def SetFileCompletionNotificationModes(self, FileHandle: int, Flags: int, /) -> int:
        self._kernel.log.append(Event("set modes", FileHandle))
        endpoint = self._kernel.endpoint(FileHandle)
        if not self._kernel.choices.skip_mode:
            self.last_error = ERROR_INVALID_PARAMETER
            return 0
        if Flags & FILE_SKIP_COMPLETION_PORT_ON_SUCCESS:
            if self._kernel.strict and not endpoint.is_associated:
                self._kernel.complain("skip mode was set for a socket without a port")
            if endpoint.chain_length != 1 or not endpoint.ifs_handles:
                self._kernel.complain("skip mode was set although a layer may queue packets")
            endpoint.skips_on_success = True  # which cannot be unset
        return 1
