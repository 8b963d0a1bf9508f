"""A DNS server for two names, and a client that asks it."""

import socket
import struct

import trio

import trio_wsarecv

ADDRESSES = {b"alpha.example": "192.0.2.1", b"beta.example": "192.0.2.2"}

MAX_BATCH = 64
MAX_QUERY = 512
HEADER = struct.Struct("!6H")  # identifier, flags, number of: questions, answers, …
ANSWER = struct.Struct("!3HIH4s")  # name, type, class, time to live, length, address
TYPE_A, CLASS_IN, SAME_NAME = 1, 1, 0xC00C
RESPONSE, NAME_ERROR = 0x8400, 3


def question(name: bytes) -> bytes:
    """Ask for the IPv4 address of a name."""
    labels = b"".join(bytes([len(label)]) + label for label in name.split(b"."))
    return labels + b"\0" + struct.pack("!2H", TYPE_A, CLASS_IN)


QUESTIONS = {question(name): socket.inet_aton(ADDRESSES[name]) for name in ADDRESSES}


def answer(query: bytes) -> bytes:
    identifier = HEADER.unpack_from(query)[0]
    asked = query[HEADER.size :]
    address = QUESTIONS.get(asked)
    if address is None:
        return HEADER.pack(identifier, RESPONSE | NAME_ERROR, 1, 0, 0, 0) + asked
    record = ANSWER.pack(SAME_NAME, TYPE_A, CLASS_IN, 60, len(address), address)
    return HEADER.pack(identifier, RESPONSE, 1, 1, 0, 0) + asked + record


async def serve(sock: trio_wsarecv.Socket) -> None:
    sock.set_udp_connreset(False)
    while True:
        for datagram in await sock.recvfrom_many(MAX_BATCH, MAX_QUERY):
            query, client = datagram
            if len(query) > HEADER.size and not datagram.truncated:
                await sock.sendto(answer(query), client)


def udp_socket() -> trio_wsarecv.Socket:
    return trio_wsarecv.from_stdlib_socket(socket.socket(type=socket.SOCK_DGRAM))


async def ask(name: bytes, server: tuple[str, int]) -> str:
    with udp_socket() as sock, trio.fail_after(5):
        await sock.connect(server)
        await sock.send(HEADER.pack(1, 0, 1, 0, 0, 0) + question(name))
        response = await sock.recv(MAX_QUERY)
    if HEADER.unpack_from(response)[1] != RESPONSE:
        return "no such name"
    return socket.inet_ntoa(response[-4:])


async def main() -> None:
    with udp_socket() as sock:
        await sock.bind(("127.0.0.1", 0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, sock)
            for name in (b"alpha.example", b"beta.example", b"gamma.example"):
                print(name.decode(), await ask(name, sock.getsockname()))
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
