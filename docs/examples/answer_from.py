"""Answers each datagram from the address that it was sent to: ``answer_from.py [PORT]``.

A machine has many addresses. A socket that receives on all of them answers from the address that
the system chooses, and a client that asked another one discards the answer. So when the first
datagram to an address arrives, that address gets a socket of its own.
"""

from __future__ import annotations

import socket
import struct
import sys

import trio

import trio_wsarecv

# Ancillary data with the destination address: its type, its layout, and where the address is.
if sys.platform == "win32":
    IP_PKTINFO, IN_PKTINFO, ADDRESS = 19, struct.Struct("4sI"), 0  # address, interface
else:
    IP_PKTINFO, IN_PKTINFO, ADDRESS = 8, struct.Struct("I4s4s"), 2  # interface, local, address

CONTROL_SIZE = 64  # room for one IN_PKTINFO and its header


def open_socket(host: str, port: int) -> trio_wsarecv.Socket:
    """Open a datagram socket that receives the destination address of each datagram."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    sock.bind((host, port))
    own = trio_wsarecv.from_stdlib_socket(sock)
    own.set_udp_connreset(False)  # a client that is gone must not stop the server
    return own


def sent_to(ancdata: list[tuple[int, int, bytes]]) -> str:
    """Return the address that a datagram was sent to."""
    for level, kind, data in ancdata:
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
            return socket.inet_ntoa(IN_PKTINFO.unpack(data)[ADDRESS])
    raise LookupError("no destination address in the ancillary data")


async def main(port: int) -> None:
    """Answer datagrams until cancelled."""
    sockets: dict[str, trio_wsarecv.Socket] = {}

    async def answer_all(sock: trio_wsarecv.Socket) -> None:
        while True:
            data, ancdata, _, client = await sock.recvmsg(65536, CONTROL_SIZE)
            local = sent_to(ancdata)
            if local not in sockets:
                sockets[local] = open_socket(local, port)
                nursery.start_soon(answer_all, sockets[local])
            answer = f"you sent this to {local}: ".encode() + data
            await sockets[local].sendto(answer, client)

    with open_socket("0.0.0.0", port) as everywhere:
        port = everywhere.getsockname()[1]
        print("listening on port", port, flush=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer_all, everywhere)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 0)
