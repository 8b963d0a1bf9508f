"""Calls trio.run twice, with one pair of sockets."""

import socket

import trio

left, right = socket.socketpair()


async def let_the_others_run() -> None:
    # trio.testing.wait_all_tasks_blocked takes long to import.
    for _ in range(5):
        await trio.lowlevel.checkpoint()


async def main(number: int) -> None:
    streams = [trio.SocketStream(trio.socket.from_stdlib_socket(sock)) for sock in (left, right)]
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def receive() -> None:
            print(await streams[0].receive_some())

        await let_the_others_run()
        await streams[1].send_all(b"run %d" % number)

    fresh = [trio.SocketStream(sock) for sock in trio.socket.socketpair()]
    async with fresh[0], fresh[1]:
        await fresh[0].send_all(b"fresh sockets")
        print(await fresh[1].receive_some())


trio.run(main, 1)
trio.run(main, 2)
left.close()
right.close()
