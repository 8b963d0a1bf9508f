"""Says what kind of sockets Trio makes."""

import socket

import trio


async def main() -> None:
    made = [trio.socket.socket(), trio.socket.from_stdlib_socket(socket.socket())]
    for sock in (*made, *trio.socket.socketpair()):
        print(type(sock).__module__.split(".")[0])
        sock.close()


trio.run(main)
