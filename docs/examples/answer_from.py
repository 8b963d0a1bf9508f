"""Answers DNS queries from the address of the query: ``answer_from.py [PORT]``.

A machine has many addresses. A socket that receives on all of them sends from the one that the
system chooses, and a client that asked another one discards the answer. So this server is told
where each query was sent to, and has the answer sent from there. The answer to every query is a
text that says which address that was.
"""

from __future__ import annotations

import socket
import struct
import sys
from contextlib import suppress

import trio

import trio_wsarecv

# The option that returns the destination address, and where that ancillary data has the address.
OPTIONS = {socket.AF_INET: (socket.IPPROTO_IP, 8), socket.AF_INET6: (socket.IPPROTO_IPV6, 49)}
PLACES = {(socket.IPPROTO_IP, 8): slice(8, 12), (socket.IPPROTO_IPV6, 50): slice(16)}
if sys.platform == "win32":
    OPTIONS = {socket.AF_INET: (socket.IPPROTO_IP, 19), socket.AF_INET6: (socket.IPPROTO_IPV6, 19)}
    PLACES = {(socket.IPPROTO_IP, 19): slice(4), (socket.IPPROTO_IPV6, 19): slice(16)}

MAX_BATCH = 64
MAX_QUERY = 512
CONTROL_SIZE = 64  # room for the destination address and its header

HEADER = struct.Struct("!6H")  # identifier, flags, number of: questions, answers, …
RECORD = struct.Struct("!3HIHB")  # name, type, class, time to live, length, length of the text
RESPONSE, SAME_NAME, TYPE_TEXT, CLASS_IN = 0x8400, 0xC00C, 16, 1

Ancillary = tuple[int, int, bytes]


def open_socket(family: socket.AddressFamily, port: int) -> trio_wsarecv.Socket:
    """Open a socket on all addresses that receives the destination address of each datagram."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if sys.platform == "win32":  # otherwise another program could take the port
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.setsockopt(*OPTIONS[family], 1)
    sock.bind(("", port))
    own = trio_wsarecv.from_stdlib_socket(sock)
    own.set_udp_connreset(False)  # a client that is gone must not stop the server
    return own


def sent_to(ancdata: list[Ancillary]) -> tuple[str, Ancillary]:
    """Return the address that a datagram was sent to, and the data to send from there."""
    for level, kind, data in ancdata:
        if place := PLACES.get((level, kind)):
            family = socket.AF_INET6 if level == socket.IPPROTO_IPV6 else socket.AF_INET
            return socket.inet_ntop(family, data[place]), (level, kind, data)
    raise ValueError("no destination address in the ancillary data")


def answer(query: bytes, text: bytes) -> bytes:
    """Answer a query with a text; raise `ValueError` if it is not one."""
    if len(query) < HEADER.size:
        raise ValueError("too short")
    identifier, flags, questions, *_ = HEADER.unpack_from(query)
    end = query.index(b"\0", HEADER.size) + 5  # after the name, its type and its class
    if flags & 0x8000 or questions != 1 or end > len(query):
        raise ValueError("not a query, or not for one name")
    header = HEADER.pack(identifier, RESPONSE, 1, 1, 0, 0)
    record = RECORD.pack(SAME_NAME, TYPE_TEXT, CLASS_IN, 0, len(text) + 1, len(text))
    return header + query[HEADER.size : end] + record + text


async def answer_all(sock: trio_wsarecv.Socket) -> None:
    while True:
        messages = await sock.recvmsg_many(MAX_BATCH, MAX_QUERY, CONTROL_SIZE)
        for query, ancdata, flags, client in messages:
            if flags & socket.MSG_TRUNC:
                continue
            # Not a query, or an answer that cannot be sent: the others are not affected.
            with suppress(ValueError, OSError):
                host, source = sent_to(ancdata)
                response = answer(query, f"you asked {host}".encode())
                await sock.sendmsg([response], [source], 0, client)


async def main(port: int = 0) -> None:
    with open_socket(socket.AF_INET, port) as sock:
        port = sock.getsockname()[1]
        with open_socket(socket.AF_INET6, port) as six:
            print("listening on port", port, flush=True)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(answer_all, six)
                nursery.start_soon(answer_all, sock)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 0)
