"""The receive loop of a protocol like QUIC: many connections on one UDP socket."""

import socket
from collections import Counter
from contextlib import suppress

import trio

import trio_wsarecv

MAX_BATCH = 64
MAX_PACKET = 1500
ID_SIZE = 8  # each packet begins with the identifier of its connection


async def receive_loop(sock: trio_wsarecv.Socket) -> None:
    sock.set_udp_connreset(False)
    received: Counter[bytes] = Counter()  # a real protocol decrypts and orders the packets
    while True:
        senders = {}
        for datagram in await sock.recvfrom_many(MAX_BATCH, MAX_PACKET):
            packet, address = datagram
            if len(packet) < ID_SIZE or datagram.truncated:
                continue
            identifier = packet[:ID_SIZE]
            received[identifier] += 1
            senders[identifier] = address
        # One acknowledgement for each peer; to lose it is like losing a packet.
        with suppress(OSError):
            await sock.sendto_many(
                (identifier + received[identifier].to_bytes(4, "big"), address)
                for identifier, address in senders.items()
            )


def udp_socket() -> trio_wsarecv.Socket:
    return trio_wsarecv.SocketFactory().socket(type=socket.SOCK_DGRAM)


async def send_burst(identifier: bytes, packets: int, server: tuple[str, int]) -> None:
    """Send packets without a pause and wait until all of them are acknowledged."""
    with udp_socket() as sock, trio.fail_after(5):
        await sock.connect(server)
        await sock.sendto_many([(identifier + bytes(1192), None)] * packets)
        acknowledged = 0
        while acknowledged < packets:
            acknowledged = int.from_bytes((await sock.recv(MAX_PACKET))[ID_SIZE:], "big")
    print(identifier.decode(), acknowledged, "packets acknowledged")


async def main() -> None:
    with udp_socket() as sock:
        await sock.bind(("127.0.0.1", 0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive_loop, sock)
            for identifier in (b"client-1", b"client-2"):
                await send_burst(identifier, 32, sock.getsockname())
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
