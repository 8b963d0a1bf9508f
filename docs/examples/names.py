"""A DNS server over UDP and TCP: ``names.py [PORT]``; without a port it asks itself."""

from __future__ import annotations

import socket
import struct
import sys
from contextlib import suppress

import trio

import trio_wsarecv

MAX_BATCH = 64
MAX_UDP, MAX_TCP = 1232, 65535
MAX_PLAIN = 512  # the limit over UDP, unless the client allows more by EDNS
MAX_IDLE = 10  # seconds without data from a TCP client

HEADER = struct.Struct("!6H")  # identifier, flags, number of: questions, answers, …
RECORD = struct.Struct("!3HIH")  # name, type, class, time to live, length of the data
EDNS = struct.Struct("!B2HIH")  # no name, type, the limit of the client, flags, length
TYPE_A, TYPE_OPT, CLASS_IN, SAME_NAME = 1, 41, 1, 0xC00C
ADDRESS = struct.pack("!2H", TYPE_A, CLASS_IN)  # what is asked about a name
RESPONSE, TRUNCATED, OPCODE, RECURSION = 0x8400, 0x0200, 0x7800, 0x0100
NAME_ERROR, NOT_IMPLEMENTED = 3, 4


def encoded(name: bytes) -> bytes:
    """Return a name as it is in a message: each part after its length."""
    return b"".join(bytes([len(part)]) + part for part in name.split(b".")) + b"\0"


ADDRESSES = {
    encoded(b"alpha.example"): ["192.0.2.1"],
    encoded(b"beta.example"): ["192.0.2.2"],
    encoded(b"many.example"): [f"198.51.100.{number}" for number in range(100)],
}


def answer(query: bytes, most: int) -> bytes:
    """Answer in so many bytes at most; raise `ValueError` if this is not a query."""
    end = query.find(b"\0", HEADER.size) + 1
    if not HEADER.size < end <= len(query) - len(ADDRESS):
        raise ValueError("too short")
    identifier, flags, questions, *_ = HEADER.unpack_from(query)
    if flags & 0x8000 or questions != 1:
        raise ValueError("not a query, or not for one name")
    name, what = query[HEADER.size : end], query[end : end + len(ADDRESS)]
    rest, edns, limit = query[end + len(ADDRESS) :], b"", MAX_PLAIN
    if len(rest) >= EDNS.size and EDNS.unpack_from(rest)[:2] == (0, TYPE_OPT):
        edns = EDNS.pack(0, TYPE_OPT, MAX_UDP, 0, 0)
        limit = max(limit, EDNS.unpack_from(rest)[2])
    if most == MAX_UDP:
        most = min(most, limit)

    code, records = RESPONSE | flags & (OPCODE | RECURSION), []
    addresses = ADDRESSES.get(name.lower())
    if flags & OPCODE:
        code |= NOT_IMPLEMENTED
    elif addresses is None:
        code |= NAME_ERROR
    elif what == ADDRESS:
        record = RECORD.pack(SAME_NAME, TYPE_A, CLASS_IN, 60, 4)
        records = [record + socket.inet_aton(address) for address in addresses]
    if len(query) - len(rest) + sum(map(len, records)) + len(edns) > most:
        code, records = code | TRUNCATED, []  # the client asks again, over TCP
    header = HEADER.pack(identifier, code, 1, len(records), 0, bool(edns))
    return b"".join([header, name, what, *records, edns])


async def serve_udp(sock: trio_wsarecv.Socket) -> None:
    sock.set_udp_connreset(False)
    while True:
        answers = []
        for datagram in await sock.recvfrom_many(MAX_BATCH, MAX_UDP):
            query, client = datagram
            if not datagram.truncated:
                with suppress(ValueError):
                    answers.append((answer(query, MAX_UDP), client))
        while answers:
            try:
                await sock.sendto_many(answers)
                break
            except OSError as exc:  # of one answer: continue after it
                del answers[: exc.sent + 1]  # type: ignore[attr-defined]


async def serve_tcp(stream: trio_wsarecv.SocketStream) -> None:
    with suppress(trio_wsarecv.IncompleteReceiveError, trio.BrokenResourceError, ValueError):
        while True:
            with trio.move_on_after(MAX_IDLE) as scope:
                length = int.from_bytes(await stream.receive_exactly(2), "big")
                response = answer(await stream.receive_exactly(length), MAX_TCP)
                await stream.send_all(len(response).to_bytes(2, "big") + response)
            if scope.cancelled_caught:
                return


def udp_socket() -> trio_wsarecv.Socket:
    return trio_wsarecv.SocketFactory().socket(type=socket.SOCK_DGRAM)


async def serve(port: int, task_status: trio.TaskStatus[tuple[str, int]]) -> None:
    (listener,) = await trio_wsarecv.open_tcp_listeners(port, host="127.0.0.1")
    with udp_socket() as sock:
        await sock.bind(listener.socket.getsockname())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_udp, sock)
            nursery.start_soon(trio.serve_listeners, serve_tcp, [listener])
            task_status.started(sock.getsockname())


async def ask(name: bytes, server: tuple[str, int]) -> str:
    with udp_socket() as sock, trio.fail_after(5):
        await sock.connect(server)
        await sock.send(HEADER.pack(1, 0, 1, 0, 0, 0) + encoded(name) + ADDRESS)
        response = await sock.recv(MAX_UDP)
    if HEADER.unpack_from(response)[1] & NAME_ERROR:
        return "no such name"
    return socket.inet_ntoa(response[-4:])


async def main(port: int | None = None) -> None:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, port or 0)
        if port is not None:
            print("listening on port", server[1], flush=True)
            return
        for name in (b"alpha.example", b"beta.example", b"gamma.example"):
            print(name.decode(), await ask(name, server))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else None)
