"""How many Winsock calls the messages of a flow take."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.peers import Counted, stream_pair

MESSAGES = 50
LEARNING = 4  # more calls at most, until a receive is as large as a message


@pytest.mark.windows
@pytest.mark.parametrize("size", [64, 1_500, 16_000, 60_000])
async def test_a_message_of_a_steady_flow_takes_one_call(size: int) -> None:
    with stream_pair() as (stream, other):
        counted = Counted()

        async def receive() -> None:
            received = 0
            while received < MESSAGES * size:
                received += len(await stream.receive_some())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            for _ in range(MESSAGES):
                await wait_all_tasks_blocked()
                await trio.to_thread.run_sync(other.sendall, bytes(size))
        assert MESSAGES <= counted.wsarecv_calls <= MESSAGES + LEARNING
