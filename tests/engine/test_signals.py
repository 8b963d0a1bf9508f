"""Signal handlers that raise, at the worst of moments: the packet is waited for all the same."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.engine.flows import LARGE, both_modes, make_flow
from tests.peers import pattern
from tests.receiving import RECEIVES, SENDER, SENDER_ADDRESS, is_claimed, result_of
from tests.simulation import Call, CancelAnswer, Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import SocketStream
from trio_wsarecv._engine.memory import Run

every_method = pytest.mark.parametrize("method", RECEIVES)
both_kinds = pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "datagrams"])

#: When the handler runs: as a call returns that submits a receive, as the task begins to wait for
#: the packet, and as the receive is cancelled because of that.
MOMENTS = ("call", "wait", "call, cancel", "wait, cancel")
every_moment = pytest.mark.parametrize("moment", MOMENTS)


class Stop(Exception):
    """What the signal handler raises."""


@contextmanager
def interrupted(
    simulation: Simulation, moment: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Have a signal handler raise at a moment, once at each part of it."""

    def handle(*_: object) -> None:
        raise Stop

    def interrupt_once(owner: Any, name: str) -> None:
        def interrupt() -> None:
            setattr(owner, name, lambda: None)
            signal.raise_signal(signal.SIGTERM)

        setattr(owner, name, interrupt)

    hooks = {
        "call": (simulation.ws2_32, "on_call"),
        "wait": (simulation, "on_wait"),
        "cancel": (simulation.kernel32, "on_call"),
    }
    # Nobody can raise through the pointer that a provider gives for this function.
    monkeypatch.setattr(
        "trio_wsarecv._engine.winsock.wsarecvmsg_function", lambda _: simulation.ws2_32.WSARecvMsg
    )
    simulation.knows_answers = False
    before = signal.signal(signal.SIGTERM, handle)
    try:
        for each in moment.split(", "):
            interrupt_once(*hooks[each])
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        for owner, name in hooks.values():
            setattr(owner, name, lambda: None)


def make_socket(simulation: Simulation, *, is_stream: bool, made_here: bool) -> Any:
    make = simulation.stream if is_stream else simulation.datagrams
    return make(made_here=made_here)


def arrive(sock: SocketOverSimulation, data: bytes) -> None:
    sock.peer.send(data) if sock.peer.is_stream else sock.peer.send(data, SENDER)


def expected(sock: SocketOverSimulation, method: str, data: bytes) -> Any:
    return result_of(method, data, None if sock.peer.is_stream else SENDER_ADDRESS)


@both_modes
@every_moment
@both_kinds
@every_method
async def test_a_receive_that_waits_is_cancelled_and_its_packet_awaited(
    simulation: Simulation,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    is_stream: bool,
    moment: str,
    made_here: bool,
) -> None:
    sock = make_socket(simulation, is_stream=is_stream, made_here=made_here)
    for _ in range(2):
        with interrupted(simulation, moment, monkeypatch):
            simulation.behave(prompt=False)
            call = await simulation.begin(RECEIVES[method], sock)
            assert simulation.events[-2:] == ["receive", "cancel"]
            assert not call.done
            simulation.check()
            await simulation.step()
        assert isinstance(call.error, Stop)
        assert not is_claimed(sock)
        simulation.check_quiet()
        simulation.behave(prompt=True)
        again = await simulation.begin(RECEIVES[method], sock)
        arrive(sock, b"data")
        await simulation.step()
        assert again.value == expected(sock, method, b"data")


@pytest.mark.parametrize("answer", CancelAnswer)
@pytest.mark.parametrize("moment", ["call", "wait"])
@both_kinds
@every_method
async def test_what_comes_before_the_packet_is_left_to_the_next_receive(
    simulation: Simulation,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    is_stream: bool,
    moment: str,
    answer: CancelAnswer,
) -> None:
    sock = make_socket(simulation, is_stream=is_stream, made_here=False)
    simulation.behave(prompt=False, cancel=answer)
    with interrupted(simulation, moment, monkeypatch):
        if answer is CancelAnswer.NOT_FOUND:
            # The data comes in just before the cancellation.
            simulation.deliver_automatically()
            simulation.behave(prompt=False)
            cancel = simulation.kernel32.cancel

            def cancel_too_late(handle: int, address: int) -> int:
                arrive(sock, b"data")
                return cancel(handle, address)

            monkeypatch.setattr(simulation.kernel32, "cancel", cancel_too_late)
        call = await simulation.begin(RECEIVES[method], sock)
        if answer is not CancelAnswer.NOT_FOUND:
            assert not call.done
            arrive(sock, b"data")
        await simulation.step()
    assert isinstance(call.error, Stop)
    simulation.deliver_automatically()
    if is_stream:
        assert await sock.recv(100) == b"data"
    else:
        assert await RECEIVES[method](sock) == expected(sock, method, b"data")


@both_modes
@every_moment
@both_kinds
@every_method
async def test_what_was_there_already_is_left_to_the_next_receive(
    simulation: Simulation,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    is_stream: bool,
    moment: str,
    made_here: bool,
) -> None:
    # Packets come at once, since there may be none to wait for.
    simulation.deliver_automatically()
    sock = make_socket(simulation, is_stream=is_stream, made_here=made_here)
    if made_here and moment.startswith("wait"):
        pytest.skip("there is nothing to wait for")
    # Without a packet, what a call has received is lost with its answer, as with stock Trio.
    is_lost = made_here and moment.startswith("call")
    for _ in range(2):
        arrive(sock, b"data")
        with interrupted(simulation, moment, monkeypatch), pytest.raises(Stop):
            await RECEIVES[method](sock)
        assert not is_claimed(sock)
        if not is_lost:
            simulation.check_quiet()
        arrive(sock, b"more")
        left = [b"more"] if is_lost else [b"data", b"more"]
        if is_stream:
            whole = b"".join(left)
            assert await SocketStream(sock).receive_exactly(len(whole)) == whole
        else:
            for data in left:
                assert await RECEIVES[method](sock) == expected(sock, method, data)


@pytest.mark.parametrize("size", [0, 150])
@pytest.mark.parametrize("moment", ["call", "wait"])
@both_modes
async def test_a_datagram_is_left_as_it_is_empty_or_too_long(
    simulation: Simulation,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    size: int,
    made_here: bool,
) -> None:
    if made_here and moment == "call":
        pytest.skip("without a packet it is lost with the answer of the call")
    simulation.deliver_automatically()
    sock = simulation.datagrams(made_here=made_here)
    simulation.behave(always_pends=moment == "wait")  # so that there is something to wait for
    sock.peer.send(pattern(size), SENDER)
    with interrupted(simulation, moment, monkeypatch), pytest.raises(Stop):
        await sock.recvmsg(100)
    simulation.behave(always_pends=False)
    sock.peer.send(b"more", SENDER)
    flags = 0x100 if size > 100 else 0
    assert await sock.recvmsg(100) == (pattern(size)[:100], [], flags, SENDER_ADDRESS)
    assert await sock.recvmsg(100) == (b"more", [], 0, SENDER_ADDRESS)


@pytest.mark.parametrize("moment", ["call", "wait"])
@pytest.mark.parametrize("refused", [False, True])
async def test_an_error_of_the_connection_is_told_to_the_next_receive(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, moment: str, refused: bool
) -> None:
    simulation.deliver_automatically()
    sock = simulation.stream()
    if refused and moment == "wait":
        pytest.skip("there is nothing to wait for")
    if refused:
        sock.peer.reset()
    with interrupted(simulation, moment, monkeypatch), pytest.raises(Stop):
        await sock.recv(100)
    assert not is_claimed(sock)
    sock.peer.reset()
    with pytest.raises(ConnectionResetError):
        await sock.recv(100)


@pytest.mark.parametrize("kind", ["receive_exactly", "receive_exactly_into"])
@pytest.mark.parametrize("moment", ["call", "wait"])
async def test_an_exact_receive_leaves_all_its_parts(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, moment: str, kind: str
) -> None:
    sock = simulation.stream()
    stream = SocketStream(sock)
    argument: Any = 10 if kind == "receive_exactly" else bytearray(10)
    call = await simulation.begin(getattr(stream, kind), argument)
    with interrupted(simulation, moment, monkeypatch):
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
async def test_lent_memory_is_the_runs_again_when_the_packet_is_in(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, moment: str, made_here: bool
) -> None:
    sock = simulation.stream(made_here=made_here)
    await make_flow(simulation, sock)
    made = Run.current().made
    with interrupted(simulation, moment, monkeypatch):
        simulation.behave(prompt=False)
        call = await simulation.begin(sock.recv, LARGE)
        assert not call.done
        await simulation.step()
    assert isinstance(call.error, Stop)
    assert Run.current().made == made
    assert not Run.current().waiting
    simulation.behave(prompt=True)
    await make_flow(simulation, sock)
    again = await simulation.begin(sock.recv, LARGE)
    assert Run.current().made == made
    sock.peer.send(b"data")
    await simulation.step()
    assert again.value == b"data"


@pytest.mark.parametrize("what", ["cancel", "close", "shut down"])
async def test_a_cancellation_that_is_interrupted_takes_nothing_from_the_kernel(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    sock, other = simulation.stream(), simulation.stream()
    ask: dict[str, Callable[[Call], object]] = {
        "cancel": lambda call: call.scope.cancel(),
        "close": lambda call: sock.close(),
        "shut down": lambda call: sock.receiver.cancel(),
    }
    call = await simulation.begin(sock.recv, 100)
    with interrupted(simulation, "cancel", monkeypatch), pytest.raises(Stop):
        ask[what](call)
    await simulation.step()
    simulation.check()
    assert not call.done
    sock.peer.send(b"data")
    await simulation.step()
    assert call.value == b"data"
    other.peer.send(b"other")
    again = simulation.call(other.recv, 100)
    await simulation.step()
    assert again.value == b"other"
    assert sock.peer.handles == (what != "close")
