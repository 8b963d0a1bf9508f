"""Serves on sockets that it made itself, as some servers do."""

import socket

import trio

listener = socket.create_server(("127.0.0.1", 0))


async def answer(stream: trio.SocketStream) -> None:
    async with stream:
        print(await stream.receive_some())
        await stream.send_all(b"answer")


async def main() -> None:
    async with trio.open_nursery() as nursery:
        adopted = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
        nursery.start_soon(trio.serve_listeners, answer, [adopted])
        client = trio.socket.from_stdlib_socket(socket.socket())
        await client.connect(listener.getsockname())
        await client.send(b"question")
        print(await client.recv(100))
        client.close()
        nursery.cancel_scope.cancel()


trio.run(main)
