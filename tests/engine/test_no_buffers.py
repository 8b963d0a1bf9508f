"""Where the system lacks memory for a receive, it is repeated with less, or by readiness."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import assert_checkpoints

from tests.peers import Counted, pattern
from tests.receiving import RECEIVES, Receive, result_of, winerror
from tests.simulation import Simulation
from trio_wsarecv import SocketStream, WinsockError, wsarecv
from trio_wsarecv._winsock.codes import NtStatus

from .flows import ENDINGS, LARGE, SMALL, make_flow, offers, outcome_of, refuse
from .receives import ENGINES, arrive, both_kinds, complete, expected_of, socket_for

NO_BUFFERS = WinsockError.WSAENOBUFS
STATUSES = [status for status in NtStatus if status.error == NO_BUFFERS]

LARGE_RECEIVES: dict[str, Receive] = {
    "recv": lambda sock: sock.recv(LARGE),
    "recv_into": lambda sock: sock.recv_into(bytearray(LARGE)),
    "recvmsg_into": lambda sock: sock.recvmsg_into([bytearray(LARGE)]),
    "wsarecv": lambda sock: wsarecv(sock, [bytearray(900), bytearray(LARGE - 900)]),
    "receive_exactly": lambda sock: SocketStream(sock).receive_exactly(LARGE),
}


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "by the packet"])
@pytest.mark.parametrize("method", LARGE_RECEIVES)
async def test_a_large_receive_on_a_stream_is_tried_once_more_with_little(
    simulation: Simulation, method: str, inline: bool, made_here: bool
) -> None:
    exact = method == "receive_exactly"
    sock = simulation.stream(made_here=made_here)
    await make_flow(simulation, sock)
    sizes = offers(sock)
    counted = Counted()
    if inline:
        refuse(sock)
    call = await simulation.begin(LARGE_RECEIVES[method], sock)
    if not inline:
        refuse(sock)
    await simulation.step()
    assert simulation.in_kernel(sock)
    message = pattern(LARGE if exact else 100)
    sock.peer.send(message)
    await simulation.step()
    assert call.value == (message if exact else result_of(method, message))
    # The next part of an exact receive asks for all the rest again.
    assert sizes == [LARGE, SMALL, *[LARGE - SMALL] * exact]
    assert (counted.failed, counted.readiness) == (0, 0)
    assert (counted.pended, counted.immediate, counted.bytes) == (1, exact, len(message))


# The receive, whether it is of a stream, and how often it is refused before it goes by readiness.
CASES: dict[str, tuple[Any, bool, int]] = {
    **{f"{name}, stream": (receive, True, 1) for name, receive in RECEIVES.items()},
    **{f"{name}, datagrams": (receive, False, 1) for name, receive in RECEIVES.items()},
    "recvfrom_many": (lambda sock: sock.recvfrom_many(10, 100), False, 1),
    "recv, more than little": (lambda sock: sock.recv(5000), True, 1),
    "recv, large": (lambda sock: sock.recv(LARGE), True, 2),
    "recv_into, large": (lambda sock: sock.recv_into(bytearray(LARGE)), True, 2),
}


@pytest.mark.parametrize("reported", [None, *STATUSES], ids=lambda each: each or "inline")
@pytest.mark.parametrize("ending", ["data", "no buffers", "cancelled", "closed"])
@pytest.mark.parametrize(("receive", "is_stream", "times"), CASES.values(), ids=CASES)
async def test_a_small_receive_for_which_the_system_lacks_memory_goes_by_readiness(
    simulation: Simulation,
    receive: Receive,
    is_stream: bool,
    times: int,
    ending: str,
    reported: NtStatus | None,
) -> None:
    sock = socket_for(simulation, "default mode", is_stream=is_stream)
    if times == 2:
        await make_flow(simulation, sock)
    counted = Counted()
    if reported is None:
        refuse(sock, times)
    call = await simulation.begin(receive, sock)
    if reported is not None:
        refuse(sock, times, reported)
        await simulation.step()
    assert not simulation.in_kernel(sock)
    assert not call.done
    simulation.check_quiet()
    second = await simulation.begin(sock.recv, 100)
    assert isinstance(second.error, trio.BusyResourceError)
    if ending != "data":
        happens, outcome = ENDINGS[ending]
        happens(sock, call)
        await simulation.step()
        assert outcome_of(call) == outcome
        assert (counted.bytes, counted.failed) == (0, ending == "no buffers")
        assert sock.peer.handles == (ending != "closed")
        return
    arrive(sock, pattern(100))
    await simulation.step()
    assert call.succeeded
    assert (counted.bytes, counted.failed, counted.pended, counted.immediate) == (100, 0, 1, 0)
    assert (counted.overlapped, counted.readiness) == (times, 1)
    again = await simulation.begin(receive, sock)
    assert simulation.in_kernel(sock)
    arrive(sock, pattern(100))
    await simulation.step()
    assert again.succeeded


@pytest.mark.parametrize("refusals", [1, 2])
@pytest.mark.parametrize("engine", ENGINES[:2])
@both_kinds
@pytest.mark.parametrize("method", RECEIVES)
async def test_waiting_data_is_received_by_readiness_unless_that_is_refused_too(
    simulation: Simulation, engine: str, method: str, is_stream: bool, refusals: int
) -> None:
    sock = socket_for(simulation, engine, is_stream=is_stream)
    arrive(sock, b"data")
    sock.peer.refusals += [NO_BUFFERS] * refusals
    counted = Counted()
    with assert_checkpoints():
        if refusals == 1:
            assert await RECEIVES[method](sock) == expected_of(sock, method, b"data")
        else:
            with pytest.raises(OSError, match=r".") as caught:
                await RECEIVES[method](sock)
            assert winerror(caught.value) == NO_BUFFERS
    assert bool(sock.peer.waiting) is (refusals == 2)
    assert counted.failed == refusals - 1
    assert (counted.overlapped, counted.readiness) == (1, 1)


@pytest.mark.parametrize("status", STATUSES)
@both_kinds
async def test_the_error_is_not_kept_for_the_receive_behind_one_that_got_bytes(
    simulation: Simulation, is_stream: bool, status: NtStatus
) -> None:
    sock = socket_for(simulation, "default mode", is_stream=is_stream)
    call = await simulation.begin(sock.recv, 100)
    sock.peer.end(status, b"some")
    await simulation.step()
    assert call.value == b"some"
    again = await complete(simulation, sock.recv, 100)
    assert not again.done
    sock.peer.send(b"more")
    await simulation.step()
    assert again.value == b"more"
