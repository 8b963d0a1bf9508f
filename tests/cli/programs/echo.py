"""A server that echoes, and ten clients."""

import trio

CLIENTS = 10


async def echo(stream: trio.SocketStream) -> None:
    async for data in stream:
        await stream.send_all(data)


async def talk(number: int, address: tuple[str, int]) -> None:
    stream = await trio.open_tcp_stream(*address)
    message = bytes([number]) * 50_000
    async with stream, trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, message)
        received = b""
        while len(received) < len(message):
            received += await stream.receive_some()
        assert received == message


async def main() -> None:
    async with trio.open_nursery() as server:
        listeners = await server.start(serve)
        async with trio.open_nursery() as clients:
            for number in range(CLIENTS):
                clients.start_soon(talk, number, listeners[0].socket.getsockname())
        print(CLIENTS, "clients served")
        server.cancel_scope.cancel()


async def serve(task_status: trio.TaskStatus[list[trio.SocketListener]]) -> None:
    await trio.serve_tcp(echo, 0, host="127.0.0.1", task_status=task_status)


trio.run(main)
