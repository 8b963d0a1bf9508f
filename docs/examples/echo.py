"""A server that sends back whatever it receives, and a client of it."""

import trio

import trio_wsarecv


async def echo(stream: trio_wsarecv.SocketStream) -> None:
    try:
        async for data in stream:
            await stream.send_all(data)
    except trio.BrokenResourceError:
        pass  # the client has reset the connection


async def greet(port: int) -> None:
    async with await trio_wsarecv.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(b"hello")
        print(await stream.receive_exactly(5))


async def main() -> None:
    async with trio.open_nursery() as nursery:
        (listener,) = await trio_wsarecv.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, echo, [listener])
        await greet(listener.socket.getsockname()[1])
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
