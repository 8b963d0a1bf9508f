"""The calls of Winsock, made by hand on the simulation, outside of any `trio.run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.simulation.datagrams import Datagrams
from tests.simulation.memory import address_of, peek, poke, real
from tests.simulation.packets import PacketQueue
from tests.simulation.sockets import SimulatedSocket
from tests.simulation.stream import State, Stream

if TYPE_CHECKING:
    from tests.simulation import Simulation
    from tests.simulation.kernel import Kernel

KEY = 125
UNTOUCHED = 0xDEADBEEF

#: A ``SOCKADDR_IN``: 127.0.0.1, port 8080.
SENDER = b"\x02\x00\x1f\x90\x7f\x00\x00\x01" + bytes(8)


class Receive:
    """One call, what it was given and what has become of that.

    Attributes:
      code: 0, or what ``WSAGetLastError`` gives after the call.
      address: of the ``OVERLAPPED``.
    """

    code: int

    def __init__(self, kernel: Kernel, sizes: tuple[int, ...], flags: int, event: int) -> None:
        self._new = kernel.memory.new
        self._sizes = sizes
        self.overlapped = self._new("OVERLAPPED *")
        self.overlapped.Internal = self.overlapped.InternalHigh = UNTOUCHED
        self.overlapped.hEvent = event
        self.address = address_of(self.overlapped)
        self.buffers = [self._new("char[]", max(size, 1)) for size in sizes]
        self.wsabufs = real.new("WSABUF[]", max(len(sizes), 1))
        for wsabuf, buffer, size in zip(self.wsabufs, self.buffers, sizes, strict=False):
            wsabuf.buf, wsabuf.len = buffer, size
        self.lp_flags = self._new("DWORD *", flags)
        self.lp_received = self._new("DWORD *", UNTOUCHED)
        self._name = self._new("char[]", 128)
        self._length = self._new("int32_t *", 128)
        self.message = self._new("WSAMSG *")
        self._control: Any = real.NULL

    def ask_for_sender(self, size: int) -> tuple[Any, Any]:
        self._length[0] = size
        return self._name, self._length

    def ask_for_message(self, control_size: int, flags: int) -> Any:
        message = self.message
        message.name, message.namelen = self._name, 128
        message.lpBuffers, message.dwBufferCount = self.wsabufs, len(self._sizes)
        if control_size:
            self._control = self._new("char[]", control_size)
        message.Control.buf, message.Control.len = self._control, control_size
        message.dwFlags = flags
        return message

    @property
    def iosb(self) -> tuple[int, int]:
        """``Internal`` and ``InternalHigh``."""
        return self.overlapped.Internal, self.overlapped.InternalHigh

    @property
    def contents(self) -> list[bytes]:
        """What is in the buffers; new memory holds zeros."""
        return [
            peek(address_of(buffer), size)
            for buffer, size in zip(self.buffers, self._sizes, strict=True)
        ]

    @property
    def flags(self) -> int:
        return int(self.lp_flags[0])

    @property
    def received(self) -> int:
        return int(self.lp_received[0])

    @property
    def sender(self) -> bytes:
        return peek(address_of(self._name), self._length[0])

    @property
    def sender_size(self) -> int:
        return int(self._length[0])

    @property
    def control(self) -> bytes:
        size = self.message.Control.len
        return peek(address_of(self._control), size) if size else b""

    @property
    def message_flags(self) -> int:
        return int(self.message.dwFlags)

    def spoil_wsabufs(self) -> None:
        """Overwrite the array of buffers, as whoever owns it may once the call has returned."""
        poke(address_of(self.wsabufs), b"\xee" * real.sizeof(self.wsabufs))


class Native:
    """A completion port, sockets that are associated with it, and receives on them."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.kernel = simulation.kernel
        self.kernel.strict = False
        self.port = PacketQueue(self.kernel.dequeued)
        self._receives: dict[int, Receive] = {}
        self._sockets: list[SimulatedSocket] = []
        self._event = 0x0100

    def stream(
        self, state: State = State.CONNECTED, *, associated: bool = True, skips: bool = False
    ) -> SimulatedSocket:
        """Make a TCP socket; ``skips`` says that it is in skip mode."""
        return self._socket(Stream(self.kernel, state), associated=associated, skips=skips)

    def datagrams(
        self, *, is_bound: bool = True, associated: bool = True, skips: bool = False
    ) -> SimulatedSocket:
        """Make a UDP socket."""
        endpoint = Datagrams(self.kernel, is_bound=is_bound)
        return self._socket(endpoint, associated=associated, skips=skips)

    def _socket(
        self, endpoint: Stream | Datagrams, *, associated: bool, skips: bool
    ) -> SimulatedSocket:
        sock = SimulatedSocket(self.kernel, endpoint)
        self._sockets.append(sock)
        if associated:
            endpoint.associate(self.port, KEY)
        if skips:
            assert self.simulation.kernel32.SetFileCompletionNotificationModes(sock.fileno(), 1)
        return sock

    def event(self) -> int:
        """Make an event."""
        self._event += 4
        return self._event

    def receive(
        self,
        sock: SimulatedSocket,
        *sizes: int,
        flags: int = 0,
        event: int = 0,
        overlapped: bool = True,
        routine: object = real.NULL,
    ) -> Receive:
        """Call ``WSARecv``."""
        receive = self._begin(sizes, flags, event)
        return self._end(
            receive,
            self.simulation.ws2_32.WSARecv(
                *(sock.fileno(), receive.wsabufs, len(sizes), receive.lp_received),
                *(receive.lp_flags, receive.overlapped if overlapped else real.NULL, routine),
            ),
        )

    def receive_from(
        self,
        sock: SimulatedSocket,
        *sizes: int,
        flags: int = 0,
        overlapped: bool = True,
        sender_size: int = 128,
    ) -> Receive:
        """Call ``WSARecvFrom``."""
        receive = self._begin(sizes, flags, 0)
        return self._end(
            receive,
            self.simulation.ws2_32.WSARecvFrom(
                *(sock.fileno(), receive.wsabufs, len(sizes), receive.lp_received),
                *(receive.lp_flags, *receive.ask_for_sender(sender_size)),
                *(receive.overlapped if overlapped else real.NULL, real.NULL),
            ),
        )

    def receive_message(
        self,
        sock: SimulatedSocket,
        *sizes: int,
        control_size: int = 0,
        flags: int = 0,
        overlapped: bool = True,
    ) -> Receive:
        """Call ``WSARecvMsg``."""
        receive = self._begin(sizes, flags, 0)
        return self._end(
            receive,
            self.simulation.ws2_32.WSARecvMsg(
                *(sock.fileno(), receive.ask_for_message(control_size, flags)),
                *(receive.lp_received, receive.overlapped if overlapped else real.NULL, real.NULL),
            ),
        )

    def _begin(self, sizes: tuple[int, ...], flags: int, event: int) -> Receive:
        receive = Receive(self.kernel, sizes, flags, event)
        self._receives[receive.address] = receive
        return receive

    def _end(self, receive: Receive, returned: int) -> Receive:
        receive.code = self.simulation.ws2_32.WSAGetLastError() if returned else 0
        return receive

    def cancel(self, sock: SimulatedSocket, receive: Receive | None = None) -> bool:
        """Call ``CancelIoEx``; without a receive, for all there are."""
        overlapped = receive.overlapped if receive else real.NULL
        return bool(self.simulation.kernel32.CancelIoEx(sock.fileno(), overlapped))

    def dequeue(self) -> Receive | None:
        """Take one packet, as ``GetQueuedCompletionStatus``; None means WAIT_TIMEOUT."""
        packet = self.port.dequeue()
        if packet is None:
            return None
        assert packet.key == KEY
        return self._receives[packet.address]

    def finish(self) -> None:
        """Close every socket and take every packet."""
        for sock in self._sockets:
            sock.close()
        while self.port.queue:
            self.port.dequeue()

    def expect_complaint(self, what: str) -> None:
        """See that the model complains of just this, and let it pass."""
        assert {what} == set(self.kernel.complaints)
        self.kernel.complaints.clear()
