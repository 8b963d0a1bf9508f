"""The third world: CPython's own ``_overlapped``, on which asyncio's proactor is built."""

from __future__ import annotations

import _overlapped  # type: ignore[import-not-found]
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

from .packaged import PATIENCE, RealPeer, register
from .scenarios import Code, Result

assert sys.platform == "win32"

if TYPE_CHECKING:
    from typing_extensions import Self

#: The Win32 codes of a receive whose socket is closed, on Windows and on Wine; 6 is of its handle.
CLOSED = (6, Code.HANDLES_CLOSED, Code.OPERATION_ABORTED, Code.CONNECTION_ABORTED)

#: The Winsock errors of the other Win32 codes that occur here.
WINSOCK: dict[int, int] = {Code.NETNAME_DELETED: 10054, Code.CONNECTION_ABORTED: 10053}


class Receive:
    """A receive that was submitted, or refused."""

    def __init__(self, overlapped: Any, *, sender: bool) -> None:
        self.overlapped = overlapped
        self.sender = sender
        self.refusal: OSError | None = None
        self.is_cancelled = False


class OverlappedWorld(RealPeer):
    """A socket with a completion port of its own."""

    def __init__(self, sock: socket.socket, peer: socket.socket | None, name: Any) -> None:
        self.stdlib, self.peer = sock, peer
        self._peer_name = name
        self._port = _overlapped.CreateIoCompletionPort(_overlapped.INVALID_HANDLE_VALUE, 0, 0, 1)
        _overlapped.CreateIoCompletionPort(sock.fileno(), self._port, 0, 0)
        self._receives: list[Receive] = []
        self._codes: dict[int, int] = {}
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdlib.close()
        # Otherwise memory that the kernel still has would be freed.
        for receive in self._receives:
            while receive.overlapped.pending:
                self._dequeue()

    async def begin(self, nbytes: int, sender: bool) -> Receive:
        overlapped = _overlapped.Overlapped(0)
        receive = Receive(overlapped, sender=sender)
        submit = overlapped.WSARecvFrom if sender else overlapped.WSARecv
        try:
            submit(self.stdlib.fileno(), nbytes, 0)
        except OSError as exc:
            receive.refusal = exc
        self._receives.append(receive)
        return receive

    async def cancel(self, receive: Receive) -> None:
        receive.is_cancelled = True
        receive.overlapped.cancel()

    async def close(self) -> None:
        self._is_closed = True
        self.stdlib.close()

    async def shutdown(self) -> None:
        self.stdlib.shutdown(socket.SHUT_RD)

    def _dequeue(self) -> None:
        packet = _overlapped.GetQueuedCompletionStatus(self._port, 100)
        if packet is not None:
            code, _, _, address = packet
            self._codes[address] = code

    async def finish(self, receive: Receive) -> Result:
        result = self._result(receive)
        self._receives.remove(receive)
        return result

    def _result(self, receive: Receive) -> Result:
        address = receive.overlapped.address
        deadline = time.monotonic() + (0.5 if receive.refusal else PATIENCE)
        while address not in self._codes and time.monotonic() < deadline:
            self._dequeue()
        code = self._codes.pop(address, None)
        if receive.refusal is not None:
            return Result("failed", error=receive.refusal.winerror, code=code)
        assert code is not None, "no packet came"
        try:
            value = receive.overlapped.getresult()
        except OSError as exc:
            if self._is_closed and exc.winerror in CLOSED:
                return Result("closed", code=code)
            if receive.is_cancelled and exc.winerror == Code.OPERATION_ABORTED:
                return Result("cancelled", code=code)
            return Result("failed", error=WINSOCK.get(exc.winerror, exc.winerror), code=code)
        if receive.sender:
            data, address = value
            return Result("received", data, code=code, sender=address == self._peer_name)
        return Result("received", value, code=code)

    def count_pending(self) -> int:
        return sum(receive.overlapped.pending for receive in self._receives)

    async def register_again(self) -> Result:
        return register(
            lambda handle: _overlapped.CreateIoCompletionPort(handle, self._port, 0, 0),
            self.stdlib.fileno(),
        )
