"""Calls trio.run twice, with one pair of sockets."""

import socket

import trio

left, right = socket.socketpair()


async def main(number: int) -> None:
    streams = [trio.SocketStream(trio.socket.from_stdlib_socket(sock)) for sock in (left, right)]
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def receive() -> None:
            print(await streams[0].receive_some())

        for _ in range(5):  # trio.testing.wait_all_tasks_blocked takes long to import
            await trio.lowlevel.checkpoint()
        await streams[1].send_all(b"run %d" % number)

    one, other = trio.socket.socketpair()
    with one, other:
        await one.send(b"fresh sockets")
        print(await other.recv(100))


trio.run(main, 1)
trio.run(main, 2)
left.close()
right.close()
