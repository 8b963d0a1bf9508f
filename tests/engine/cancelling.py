"""Datagrams that arrive while receives are cancelled at random."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import trio_wsarecv
from tests.simulation import Call, simulated_winsock


async def cancel_at_random(
    seed: int, receive: Callable[[trio_wsarecv.Socket], Awaitable[list[bytes]]]
) -> None:
    """Cancel many receives at any time, and see that all that was sent comes once, in order.

    Args:
      seed: of what arrives when, and of what Windows may do.
      receive: returns the datagrams that one call has received.
    """
    rng = random.Random(seed)
    with simulated_winsock(seed) as simulation:
        sock = simulation.datagrams()
        received: list[bytes] = []
        sent = cancelled = 0
        async with simulation.nursery() as nursery:
            for _ in range(100):
                call = Call(nursery, receive, sock)
                await simulation.run()
                for _ in range(rng.randrange(5)):
                    sock.peer.send(b"%d" % sent)
                    sent += 1
                if rng.random() < 0.7:
                    call.scope.cancel()
                await simulation.step()
                if not call.done:
                    call.scope.cancel()
                    await simulation.step()
                if call.cancelled:
                    cancelled += 1
                else:
                    received += call.value
            simulation.deliver_automatically()
            while len(received) < sent:
                received += await receive(sock)
        assert received == [b"%d" % number for number in range(sent)]
        assert cancelled
        simulation.check_quiet()
