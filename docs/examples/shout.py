"""A UDP service that answers in capital letters, if the question is not too long."""

import socket

import trio

import trio_wsarecv

LONGEST = 512


def udp_socket() -> trio_wsarecv.Socket:
    return trio_wsarecv.SocketFactory().socket(type=socket.SOCK_DGRAM)


async def serve(sock: trio_wsarecv.Socket) -> None:
    sock.set_udp_connreset(False)
    while True:
        data, _ancillary, flags, client = await sock.recvmsg(LONGEST)
        if flags & socket.MSG_TRUNC:
            data = b"too long"
        await sock.sendto(data.upper(), client)


async def ask(question: bytes, server: tuple[str, int]) -> bytes:
    with udp_socket() as sock, trio.fail_after(5):
        await sock.connect(server)
        await sock.send(question)
        return await sock.recv(LONGEST)


async def main() -> None:
    with udp_socket() as sock:
        await sock.bind(("127.0.0.1", 0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, sock)
            server = sock.getsockname()
            print(await ask(b"hello", server))
            print(await ask(bytes(1000), server))
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
