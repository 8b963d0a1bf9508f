"""Talks to itself with anyio, by TCP and by TLS: ``anyio_echo.py CERTIFICATE AUTHORITY``."""

import ssl
import sys

import anyio
from anyio.abc import ByteStream, Listener
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSListener, TLSStream

CLIENTS = 20
MESSAGE = bytes(range(256)) * 1000


async def shout(stream: ByteStream) -> None:
    async with stream:
        async for data in stream:
            await stream.send(data.upper())


async def ask(port: int, trust: ssl.SSLContext | None) -> None:
    stream: ByteStream = await anyio.connect_tcp("127.0.0.1", port)
    if trust:
        stream = await TLSStream.wrap(stream, hostname="127.0.0.1", ssl_context=trust)
    async with stream, anyio.create_task_group() as group:
        group.start_soon(stream.send, MESSAGE)
        answer = await BufferedByteReceiveStream(stream).receive_exactly(len(MESSAGE))
        assert answer == MESSAGE.upper()


async def main(certificate: str, authority: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    trust = ssl.create_default_context(cafile=authority)
    for kind, tls in (("TCP", False), ("TLS", True)):
        tcp = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
        port = tcp.extra(anyio.abc.SocketAttribute.local_port)
        listener: Listener[ByteStream] = TLSListener(tcp, context) if tls else tcp
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, shout)
            async with anyio.create_task_group() as clients:
                for _ in range(CLIENTS):
                    clients.start_soon(ask, port, trust if tls else None)
            print(kind, CLIENTS, "echoes")
            group.cancel_scope.cancel()


anyio.run(main, sys.argv[1], sys.argv[2], backend="trio")
