"""Messages with a length, and a server that loses none of them."""

import trio

import trio_wsarecv

LONGEST = 1_000_000


class Messages:
    """Receives and sends messages on a stream."""

    def __init__(self, stream: trio_wsarecv.SocketStream) -> None:
        self._stream = stream
        self._size: int | None = None  # of the message that is being received

    async def receive(self) -> bytes:
        if self._size is None:
            header = await self._stream.receive_exactly(4)
            self._size = int.from_bytes(header, "big")
        if self._size > LONGEST:
            raise ValueError(f"a message of {self._size} bytes is too long")
        message = await self._stream.receive_exactly(self._size)
        self._size = None
        return message

    async def send(self, message: bytes) -> None:
        await self._stream.send_all(len(message).to_bytes(4, "big") + message)


async def answer(stream: trio_wsarecv.SocketStream) -> None:
    messages = Messages(stream)
    try:
        while True:
            reply = b"still there?"
            with trio.move_on_after(0.1):
                reply = (await messages.receive()).upper()
            await messages.send(reply)
    except trio_wsarecv.IncompleteReceiveError:
        pass  # the client has finished
    except (trio.BrokenResourceError, ValueError) as error:
        print("lost a client:", error)


async def hesitate(port: int) -> None:
    async with await trio_wsarecv.open_tcp_stream("127.0.0.1", port) as stream:
        messages = Messages(stream)
        await stream.send_all(b"\x00\x00\x00\x05he")
        print(await messages.receive())
        await stream.send_all(b"llo")
        while (message := await messages.receive()) == b"still there?":
            pass
        print(message)
        await stream.send_eof()
        async for _ in stream:
            pass  # until the server has finished, too


async def main() -> None:
    async with trio.open_nursery() as nursery:
        (listener,) = await trio_wsarecv.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, answer, [listener])
        await hesitate(listener.socket.getsockname()[1])
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
