"""Calls of Winsock made by hand on the simulation, outside of any `trio.run`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest

from tests.simulation import Simulation, State
from tests.simulation.endpoints import Datagrams, Stream
from tests.simulation.kernel import Kernel
from tests.simulation.memory import address_of, peek, poke, real
from tests.simulation.port import Port
from tests.simulation.sockets import SimulatedSocket
from tests.simulation.winsock import ERROR_NOT_FOUND
from trio_wsarecv._winsock.codes import WinsockError

#: An event; with the low bit set, the same event and no packet.
EVENT, EVENT_WITHOUT_PACKET = 0x0104, 0x0105
UNTOUCHED = 0xDEADBEEF
DATA = b"data!"

#: A ``SOCKADDR_IN``: 127.0.0.1, port 8080.
SENDER = b"\x02\x00\x1f\x90\x7f\x00\x00\x01" + bytes(8)


class Receive:
    """The memory of one call."""

    def __init__(
        self, kernel: Kernel, sizes: tuple[int, ...], *, event: int, control_size: int
    ) -> None:
        new = kernel.memory.new
        self.sizes = sizes
        self.overlapped = new("OVERLAPPED *")
        self.overlapped.Internal = self.overlapped.InternalHigh = UNTOUCHED
        self.overlapped.hEvent = event
        self.buffers = [new("char[]", max(size, 1)) for size in sizes]
        self.wsabufs = real.new("WSABUF[]", max(len(sizes), 1))
        for wsabuf, buffer, size in zip(self.wsabufs, self.buffers, sizes, strict=False):
            wsabuf.buf, wsabuf.len = buffer, size
        self.flags = new("DWORD *")
        self.count = new("DWORD *", UNTOUCHED)
        self.name = new("char[]", 128)
        self.namelen = new("int32_t *", 128)
        self.control = new("char[]", control_size) if control_size else real.NULL
        self.message = message = new("WSAMSG *")
        message.name, message.namelen = self.name, 128
        message.lpBuffers, message.dwBufferCount = self.wsabufs, len(sizes)
        message.Control.buf, message.Control.len = self.control, control_size

    @property
    def iosb(self) -> tuple[int, int]:
        """``Internal`` and ``InternalHigh``."""
        return self.overlapped.Internal, self.overlapped.InternalHigh


class Winsock:
    """A completion port, a socket that is associated with it, and receives on it.

    The methods that return the object itself are the steps of scenarios: they do something, or
    check the result.  Those about a receive are about the last one by default.  A scenario reads
    ``w.tcp().peer("send", DATA).succeeds(5, 10).completes(SUCCESS, DATA)``: on a TCP socket whose
    peer has sent data, a receive of 10 bytes succeeds inline with 5, and its packet says so.
    """

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.kernel = simulation.kernel
        self.kernel.strict = False
        self.port = Port(self.kernel.dequeued)
        self.made: list[Receive] = []
        self.sockets: list[SimulatedSocket] = []
        self.endpoint: Any = None

    def behaves(self, **choices: Any) -> Winsock:
        """Choose how this Windows behaves."""
        self.simulation.behave(**choices)
        return self

    def settles(self) -> Winsock:
        """Have the kernel do what it has put off."""
        self.simulation.settle()
        return self

    # The socket.

    def tcp(self, state: State = State.CONNECTED, **attributes: Any) -> Winsock:
        """Open a TCP socket whose endpoint has these attributes."""
        return self._open(Stream(self.kernel, state), **attributes)

    def udp(self, *, is_bound: bool = True, **attributes: Any) -> Winsock:
        """Open a UDP socket whose endpoint has these attributes."""
        return self._open(Datagrams(self.kernel, is_bound=is_bound), **attributes)

    def _open(
        self, endpoint: Stream | Datagrams, *, associated: bool = True, **attributes: Any
    ) -> Winsock:
        self.endpoint = endpoint
        self.sockets.append(SimulatedSocket(self.kernel, endpoint))
        for name, value in attributes.items():
            assert hasattr(endpoint, name)
            setattr(endpoint, name, value)
        return self.associates() if associated else self

    def associates(self) -> Winsock:
        self.endpoint.associate(self.port)
        return self

    def own(self, action: str, *arguments: Any) -> Winsock:
        """Call a method of the socket."""
        getattr(self.sockets[-1], action)(*arguments)
        return self

    def peer(self, action: str, *arguments: Any) -> Winsock:
        """Have the peer do something."""
        getattr(self.endpoint, action)(*arguments)
        return self

    def duplicates(self) -> Winsock:
        """Duplicate the handle, and use the duplicate until that is closed."""
        self.sockets.append(self.sockets[-1].dup())
        return self

    def closes(self) -> Winsock:
        self.sockets.pop().close()
        return self

    def is_readable(self, expected: bool) -> Winsock:
        assert self.endpoint.is_readable() is expected
        return self

    def is_left(self, data: bytes | list[bytes]) -> Winsock:
        """Check what has arrived and has not been received."""
        assert self.endpoint.waiting == data
        return self

    def peer_saw(self, end: str | None) -> Winsock:
        assert self.endpoint.peer_saw == end
        return self

    # The calls.

    def answers(
        self,
        code: int,
        count: int,
        *sizes: int,
        call: str = "WSARecv",
        flags: int = 0,
        overlapped: bool = True,
        routine: object = real.NULL,
        sender_size: int = 128,
        event: int = 0,
        control_size: int = 0,
        length: int | None = None,
    ) -> Winsock:
        """Make a call with buffers of these sizes; check its error (0: success) and byte count."""
        receive = Receive(self.kernel, sizes, event=event, control_size=control_size)
        receive.wsabufs[0].len = receive.wsabufs[0].len if length is None else length
        receive.flags[0] = receive.message.dwFlags = flags
        receive.namelen[0] = sender_size
        place = [receive.wsabufs, len(sizes), receive.count, receive.flags]
        if call == "WSARecvFrom":
            place += [receive.name, receive.namelen]
        elif call == "WSARecvMsg":
            place = [receive.message, receive.count]
        ws2_32 = self.simulation.ws2_32
        end = (receive.overlapped if overlapped else real.NULL, routine)
        failed = getattr(ws2_32, call)(self.sockets[-1].fileno(), *place, *end)
        # The owner of the array of buffers may use it again.
        poke(address_of(receive.wsabufs), b"\xee" * real.sizeof(receive.wsabufs))
        self.made.append(receive)
        assert (ws2_32.WSAGetLastError() if failed else 0) == code
        assert receive.count[0] == count
        return self

    def pends(self, *sizes: int, **options: Any) -> Winsock:
        """Make a call that is reported as pending."""
        return self.answers(WinsockError.WSA_IO_PENDING, UNTOUCHED, *sizes, **options)

    def succeeds(self, count: int, *sizes: int, **options: Any) -> Winsock:
        """Make a call that succeeds inline with this byte count."""
        return self.answers(0, count, *sizes, **options)

    def fails(self, code: int, *sizes: int, **options: Any) -> Winsock:
        """Make a call that fails with this error."""
        return self.answers(code, UNTOUCHED, *sizes, **options)

    def cancels(self, which: int | None = -1, *, found: bool = True) -> Winsock:
        """Call ``CancelIoEx`` for one receive; None means all."""
        overlapped = real.NULL if which is None else self.made[which].overlapped
        kernel32 = self.simulation.kernel32
        assert bool(kernel32.CancelIoEx(self.sockets[-1].fileno(), overlapped)) is found
        assert found or kernel32.last_error == ERROR_NOT_FOUND
        return self

    # What the calls answer.

    def no_packet(self) -> Winsock:
        assert self.port.dequeue() is None
        return self

    def completes(self, status: int, data: bytes = b"", *, which: int = -1) -> Winsock:
        """Check that the next packet is that of one receive, and what this has received."""
        receive = self.made[which]
        assert self.port.dequeue() == address_of(receive.overlapped)
        assert receive.iosb == (status, len(data))
        return self.has(data, which=which)

    def has(self, data: bytes, *, which: int = -1) -> Winsock:
        """Check that the buffers hold this data, and after it the zeros of new memory."""
        receive = self.made[which]
        buffers = zip(receive.buffers, receive.sizes, strict=True)
        held = b"".join(peek(address_of(buffer), size) for buffer, size in buffers)
        assert held == data.ljust(sum(receive.sizes), b"\0")
        return self

    def holds(self, internal: int, internal_high: int = UNTOUCHED) -> Winsock:
        """Check ``Internal`` and ``InternalHigh`` as they are now."""
        assert self.made[-1].iosb == (internal, internal_high)
        return self

    def gives(self, **expected: int | bytes) -> Winsock:
        """Check the other results of the receive."""
        receive, message = self.made[-1], self.made[-1].message
        found = {
            "sender": peek(address_of(receive.name), receive.namelen[0]),
            "flags": receive.flags[0],
            "message_sender": peek(address_of(receive.name), message.namelen),
            "message_flags": message.dwFlags,
            "control": peek(address_of(receive.control), message.Control.len),
        }
        assert {name: found[name] for name in expected} == expected
        return self

    def complains(self, what: str) -> Winsock:
        """Check that the model complains of exactly this, and forget it."""
        assert {what} == set(self.kernel.complaints)
        self.kernel.complaints.clear()
        return self


@pytest.fixture
def winsock(simulation: Simulation) -> Iterator[Winsock]:
    """Winsock, called by hand."""
    winsock = Winsock(simulation)
    yield winsock
    while winsock.sockets:
        winsock.closes()
    while winsock.port.queue:
        winsock.port.dequeue()


Steps: TypeAlias = Callable[[Winsock], object]
#: The numbers of a behaviour and what it is; who asserts or reports it; the steps that show it.
Scenario: TypeAlias = tuple[str, str, Steps]


def scenarios(*tables: list[Scenario]) -> pytest.MarkDecorator:
    """Have a test run once for each scenario."""
    parameters = []
    for what, source, steps in itertools.chain(*tables):
        numbers = what.partition(":")[0].split(", ")
        marks = [pytest.mark.behaviour(number, source) for number in numbers]
        parameters.append(pytest.param(steps, id=what, marks=marks))
    return pytest.mark.parametrize("steps", parameters)
