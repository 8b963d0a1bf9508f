"""The scenarios, each a function of a world, with what is to come of it."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from .result import Result

WSAEMSGSIZE = 10040
WSAECONNRESET = 10054
WSAESHUTDOWN = 10058
ERROR_INVALID_PARAMETER = 87

ABORTED = 995
NETNAME_DELETED = 64


class World(Protocol):
    """A socket that receives, its peer, and a way to look at what happens."""

    async def begin(self, nbytes: int, *, sender: bool = False) -> Any:
        """Submit a receive.  For nothing, it is one into an empty buffer."""

    async def finish(self, receive: Any) -> Result:
        """Wait until a receive has ended."""

    def cancel(self, receive: Any) -> None: ...

    def close(self) -> None: ...

    def shutdown(self) -> None:
        """Shut the receiving side down."""

    async def send(self, data: bytes) -> None:
        """Have the peer send, and wait until the kernel here has it."""

    async def end(self) -> None:
        """Have the peer end the stream, and wait until the kernel here knows."""

    async def reset(self) -> None:
        """Have the peer reset the connection, and wait until the kernel here knows."""

    async def register_again(self) -> Result:
        """Try to associate the socket with a completion port once more."""


@dataclass(frozen=True)
class Scenario:
    """A scenario.

    Attributes:
      play: the function.
      expected: what the receives give, in order.
      kind: of socket.
      hostile: whether the peer has to be one outside of Wine.
    """

    play: Callable[[World], Awaitable[list[Result]]]
    expected: list[Result]
    kind: socket.SocketKind = socket.SOCK_STREAM
    hostile: bool = False


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    *expected: Result, **options: Any
) -> Callable[[Callable[[World], Awaitable[list[Result]]]], None]:
    def enter(play: Callable[[World], Awaitable[list[Result]]]) -> None:
        name = play.__name__.replace("_", " ")
        SCENARIOS[name] = Scenario(play, list(expected), **options)

    return enter


def received(data: bytes, **more: Any) -> Result:
    return Result("received", data, code=0, **more)


@scenario(received(b"data"))
async def data_before_the_receive(world: World) -> list[Result]:
    await world.send(b"data")
    return [await world.finish(await world.begin(100))]


@scenario(received(b"data"))
async def data_after_the_receive(world: World) -> list[Result]:
    receive = await world.begin(100)
    await world.send(b"data")
    return [await world.finish(receive)]


@scenario(received(b"da"), received(b"ta"))
async def more_data_than_the_receive_takes(world: World) -> list[Result]:
    receive = await world.begin(2)
    await world.send(b"data")
    return [await world.finish(receive), await world.finish(await world.begin(100))]


@scenario(received(b"data"), received(b""), received(b""))
async def the_end_before_the_receive(world: World) -> list[Result]:
    await world.send(b"data")
    await world.end()
    return [await world.finish(await world.begin(100)) for _ in range(3)]


@scenario(received(b""))
async def the_end_after_the_receive(world: World) -> list[Result]:
    receive = await world.begin(100)
    await world.end()
    return [await world.finish(receive)]


@scenario(Result("cancelled", code=ABORTED), received(b"data"))
async def a_cancellation_and_then_data(world: World) -> list[Result]:
    receive = await world.begin(100)
    world.cancel(receive)
    first = await world.finish(receive)
    await world.send(b"data")
    return [first, await world.finish(await world.begin(100))]


@scenario(received(b"data"), received(b"more"))
async def data_and_then_a_cancellation(world: World) -> list[Result]:
    receive = await world.begin(100)
    await world.send(b"data")
    world.cancel(receive)
    first = await world.finish(receive)
    await world.send(b"more")
    return [first, await world.finish(await world.begin(100))]


@scenario(received(b""), received(b"data"))
async def a_receive_of_nothing(world: World) -> list[Result]:
    receive = await world.begin(0)
    await world.send(b"data")
    return [await world.finish(receive), await world.finish(await world.begin(100))]


@scenario(Result("closed", code=ABORTED))
async def closing_while_a_receive_waits(world: World) -> list[Result]:
    receive = await world.begin(100)
    world.close()
    return [await world.finish(receive)]


@scenario(Result("closed", code=ABORTED), kind=socket.SOCK_DGRAM)
async def closing_a_datagram_socket_while_a_receive_waits(world: World) -> list[Result]:
    receive = await world.begin(100)
    world.close()
    return [await world.finish(receive)]


@scenario(received(b"data"))
async def closing_when_data_is_in(world: World) -> list[Result]:
    receive = await world.begin(100)
    await world.send(b"data")
    world.close()
    return [await world.finish(receive)]


@scenario(Result("failed", error=WSAECONNRESET, code=NETNAME_DELETED), hostile=True)
async def a_reset_while_a_receive_waits(world: World) -> list[Result]:
    receive = await world.begin(100)
    await world.reset()
    return [await world.finish(receive)]


@scenario(Result("failed", error=WSAESHUTDOWN))
async def a_receive_after_the_receiving_side_was_shut_down(world: World) -> list[Result]:
    world.shutdown()
    return [await world.finish(await world.begin(100))]


@scenario(
    Result("cut off", b"0123", WSAEMSGSIZE, 0),
    received(b"next"),
    kind=socket.SOCK_DGRAM,
)
async def a_datagram_that_does_not_fit_before_the_receive(world: World) -> list[Result]:
    await world.send(b"0123456789")
    first = await world.finish(await world.begin(4))
    await world.send(b"next")
    return [first, await world.finish(await world.begin(4))]


@scenario(
    Result("cut off", b"0123", WSAEMSGSIZE, 0),
    received(b"next"),
    kind=socket.SOCK_DGRAM,
)
async def a_datagram_that_does_not_fit_after_the_receive(world: World) -> list[Result]:
    receive = await world.begin(4)
    await world.send(b"0123456789")
    first = await world.finish(receive)
    await world.send(b"next")
    return [first, await world.finish(await world.begin(4))]


@scenario(received(b"data", sender=True), received(b"", sender=True), kind=socket.SOCK_DGRAM)
async def datagrams_with_their_sender(world: World) -> list[Result]:
    await world.send(b"data")
    first = await world.finish(await world.begin(100, sender=True))
    receive = await world.begin(100, sender=True)
    await world.send(b"")
    return [first, await world.finish(receive)]


@scenario(received(b"1234"), Result("busy"))
async def two_receives_at_once(world: World) -> list[Result]:
    receives = [await world.begin(4), await world.begin(4)]
    await world.send(b"1234")
    await world.send(b"5678")
    return [await world.finish(receive) for receive in receives]


@scenario(received(b"data"), Result("refused", error=ERROR_INVALID_PARAMETER), received(b"more"))
async def a_second_association(world: World) -> list[Result]:
    await world.send(b"data")
    first = await world.finish(await world.begin(100))
    refused = await world.register_again()
    await world.send(b"more")
    return [first, refused, await world.finish(await world.begin(100))]
