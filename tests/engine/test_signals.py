"""Signal handlers that raise between submit and sleep: the packet is still awaited."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from tests.engine.flows import LARGE, both_modes, make_flow
from tests.peers import pattern
from tests.receiving import RECEIVES, SENDER, SENDER_ADDRESS, is_claimed, result_of
from tests.simulation import Call, CancelAnswer, Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import SocketStream
from trio_wsarecv._engine.memory import Run
from trio_wsarecv._winsock.codes import NtStatus

Interrupted = Callable[[str], AbstractContextManager[None]]

#: When the handler runs: when the call that submits a receive returns, when the task begins to wait
#: for the packet, and when the receive is cancelled because of that.
every_moment = pytest.mark.parametrize("moment", ["call", "wait", "call, cancel", "wait, cancel"])
before_the_wait = pytest.mark.parametrize("moment", ["call", "wait"])


class Stop(Exception):
    """What the signal handler raises."""


@pytest.fixture
def interrupted(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> Interrupted:
    """Return a context in which a signal handler raises, once at each part of a moment."""
    hooks = {
        "call": (simulation.ws2_32, "on_call"),
        "wait": (simulation, "on_wait"),
        "cancel": (simulation.kernel32, "on_call"),
    }
    # An exception cannot pass through the function pointer that a provider gives for this function.
    monkeypatch.setattr(
        "trio_wsarecv._engine.winsock.wsarecvmsg_function", lambda _: simulation.ws2_32.WSARecvMsg
    )
    simulation.knows_answers = False

    def handle(*_: object) -> None:
        raise Stop

    def interrupt_once(owner: object, name: str) -> None:
        def interrupt() -> None:
            setattr(owner, name, lambda: None)
            signal.raise_signal(signal.SIGTERM)

        setattr(owner, name, interrupt)

    @contextmanager
    def interrupted(moment: str) -> Iterator[None]:
        before = signal.signal(signal.SIGTERM, handle)
        try:
            for each in moment.split(", "):
                interrupt_once(*hooks[each])
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
            for owner, name in hooks.values():
                setattr(owner, name, lambda: None)

    return interrupted


#: When the data arrives: before the receive; while it is cancelled, with each answer of Windows; or
#: after it.
ARRIVALS = ("before", *CancelAnswer, "after")


@both_modes
@every_moment
@pytest.mark.parametrize("arrival", ARRIVALS)
@pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "datagrams"])
@pytest.mark.parametrize("method", RECEIVES)
async def test_an_interrupted_receive_waits_for_its_packet_and_leaves_its_data_to_the_next(
    simulation: Simulation,
    interrupted: Interrupted,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    is_stream: bool,
    arrival: str | CancelAnswer,
    moment: str,
    made_here: bool,
) -> None:
    make = simulation.stream if is_stream else simulation.datagrams
    sock = make(made_here=made_here)
    receive = RECEIVES[method]

    def arrive(data: bytes) -> None:
        sock.peer.send(data, *(() if is_stream else (SENDER,)))

    # A receive that completes inline in skip mode has no packet to wait for.  If it is interrupted
    # when the call returns, its data is lost with the result, as with stock Trio.
    has_packet = not (made_here and arrival == "before")
    # If cancelling finds nothing after an interrupted call, the packet is there or never comes.
    comes_at_once = moment.startswith("call") and arrival in ("before", CancelAnswer.NOT_FOUND)
    if comes_at_once or arrival == "before":
        simulation.deliver_automatically()
    if arrival == "before":
        arrive(b"data")
    else:
        simulation.behave(prompt=False)
    if isinstance(arrival, CancelAnswer):
        simulation.behave(cancel=arrival)
    if arrival is CancelAnswer.NOT_FOUND:
        cancel = simulation.kernel32.cancel

        def cancel_too_late(handle: int, address: int) -> int:
            arrive(b"data")
            return cancel(handle, address)

        monkeypatch.setattr(simulation.kernel32, "cancel", cancel_too_late)
    with interrupted(moment):
        call = await simulation.begin(receive, sock)
        simulation.check()
        assert call.done is comes_at_once or arrival == "before"
        if arrival not in ("before", "after", CancelAnswer.NOT_FOUND):
            arrive(b"data")
        await simulation.step()
    if not has_packet and moment.startswith("wait"):
        assert call.succeeded
        return
    assert isinstance(call.error, Stop)
    assert not is_claimed(sock)
    if has_packet:
        simulation.check_quiet()
    simulation.deliver_automatically()
    if arrival == "after" or not has_packet:
        arrive(b"data")
    for data in (b"data", b"more"):
        if is_stream:
            assert await sock.recv(100) == data
        else:
            assert await receive(sock) == result_of(method, data, SENDER_ADDRESS)
        arrive(b"more")


@pytest.mark.parametrize("size", [0, 150])
@pytest.mark.parametrize(
    ("moment", "made_here"), [("call", False), ("wait", False), ("wait", True)]
)
async def test_a_datagram_is_left_as_it_is_empty_or_too_long(
    simulation: Simulation, interrupted: Interrupted, moment: str, size: int, made_here: bool
) -> None:
    simulation.deliver_automatically()
    sock = simulation.datagrams(made_here=made_here)
    simulation.behave(always_pends=moment == "wait")  # so that there is something to wait for
    sock.peer.send(pattern(size), SENDER)
    with interrupted(moment), pytest.raises(Stop):
        await sock.recvmsg(100)
    simulation.behave(always_pends=False)
    sock.peer.send(b"more", SENDER)
    flags = 0x100 if size > 100 else 0
    assert await sock.recvmsg(100) == (pattern(size)[:100], [], flags, SENDER_ADDRESS)
    assert await sock.recvmsg(100) == (b"more", [], 0, SENDER_ADDRESS)


@before_the_wait
async def test_an_error_is_raised_by_the_next_receive(
    simulation: Simulation, interrupted: Interrupted, moment: str
) -> None:
    simulation.behave(prompt=False, cancel=CancelAnswer.COMPLETES)
    sock = simulation.datagrams()
    with interrupted(moment):
        call = await simulation.begin(sock.recv, 100)
        sock.peer.send_error(NtStatus.PORT_UNREACHABLE)
        await simulation.step()
    assert isinstance(call.error, Stop)
    sock.peer.send(b"data")
    with pytest.raises(ConnectionResetError):
        await sock.recv(100)
    assert await sock.recv(100) == b"data"


async def test_after_an_interrupted_call_that_winsock_refused_no_packet_is_awaited(
    simulation: Simulation, interrupted: Interrupted
) -> None:
    simulation.deliver_automatically()
    sock = simulation.stream()
    sock.peer.reset()
    with interrupted("call"), pytest.raises(Stop):
        await sock.recv(100)
    assert not is_claimed(sock)
    with pytest.raises(ConnectionResetError):
        await sock.recv(100)


@pytest.mark.parametrize("kind", ["receive_exactly", "receive_exactly_into"])
@before_the_wait
async def test_an_exact_receive_leaves_all_its_parts(
    simulation: Simulation, interrupted: Interrupted, moment: str, kind: str
) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    argument: Any = 10 if kind == "receive_exactly" else bytearray(10)
    call = await simulation.begin(getattr(stream, kind), argument)
    with interrupted(moment):
        sock.peer.send(b"some")
        simulation.deliver(1)
        simulation.behave(cancel=CancelAnswer.ABORTED_WITH_BYTES, prompt=False)
        await simulation.run()
        sock.peer.send(b"more")
        await simulation.step()
    assert isinstance(call.error, Stop)
    assert await stream.receive_some() == b"somemore"


@both_modes
@every_moment
async def test_lent_memory_is_given_back_when_the_packet_is_in(
    simulation: Simulation, interrupted: Interrupted, moment: str, made_here: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    await make_flow(simulation, sock)
    made = Run.current().made
    with interrupted(moment):
        simulation.behave(prompt=False)
        call = await simulation.begin(sock.recv, LARGE)
        assert not call.done
        await simulation.step()
    assert isinstance(call.error, Stop)
    assert not Run.current().waiting
    simulation.behave(prompt=True)
    await make_flow(simulation, sock)
    again = await simulation.begin(sock.recv, LARGE)
    assert Run.current().made == made
    sock.peer.send(b"data")
    await simulation.step()
    assert again.value == b"data"


ASK: dict[str, Callable[[Call, SocketOverSimulation], object]] = {
    "cancel": lambda call, _: call.scope.cancel(),
    "close": lambda _, sock: sock.close(),
    "shut down": lambda _, sock: sock.receiver.cancel(),
}


@pytest.mark.parametrize("what", ASK)
async def test_an_interrupted_cancellation_takes_nothing_from_the_kernel(
    simulation: Simulation, interrupted: Interrupted, what: str
) -> None:
    sock, other = simulation.stream(), simulation.stream()
    call = await simulation.begin(sock.recv, 100)
    with interrupted("cancel"), pytest.raises(Stop):
        ASK[what](call, sock)
    await simulation.step()
    simulation.check()
    assert not call.done
    sock.peer.send(b"data")
    await simulation.step()
    assert call.value == b"data"
    again = simulation.call(other.recv, 100)
    other.peer.send(b"other")
    await simulation.step()
    assert again.value == b"other"
    assert sock.peer.handles == (what != "close")
