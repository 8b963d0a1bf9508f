"""Messages with their length in front, and a receiver that loses none when it gives up waiting."""

import trio

import trio_wsarecv

LONGEST = 1_000_000


class Messages:
    """The messages that come in on a stream."""

    def __init__(self, stream: trio_wsarecv.SocketStream) -> None:
        self._stream = stream
        self._size: int | None = None  # of the message that is coming in

    async def receive(self) -> bytes:
        if self._size is None:
            header = await self._stream.receive_exactly(4)
            self._size = int.from_bytes(header, "big")
        if self._size > LONGEST:
            raise ValueError(f"a message of {self._size} bytes is too long")
        message = await self._stream.receive_exactly(self._size)
        self._size = None
        return message


async def main() -> None:
    (listener,) = await trio_wsarecv.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with (
        listener,
        await trio_wsarecv.open_tcp_stream("127.0.0.1", port) as sender,
        await listener.accept() as receiver,
    ):
        messages = Messages(receiver)

        await sender.send_all(b"\x00\x00\x00\x05he")
        with trio.move_on_after(0.1) as patience:
            await messages.receive()
        print("gave up:", patience.cancelled_caught)

        await sender.send_all(b"llo")
        print(await messages.receive())

        await sender.send_eof()
        try:
            await messages.receive()
        except trio_wsarecv.IncompleteReceiveError as error:
            print(error)


if __name__ == "__main__":
    trio.run(main)
