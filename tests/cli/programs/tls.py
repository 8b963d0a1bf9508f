"""A server and a client that talk TLS."""

import functools
import ssl

import trio
import trustme

authority = trustme.CA()
server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("localhost").configure_cert(server_context)
client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
authority.configure_trust(client_context)


async def upper(stream: trio.SSLStream[trio.SocketStream]) -> None:
    async with stream:
        async for data in stream:
            await stream.send_all(data.upper())


async def main() -> None:
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(
            functools.partial(trio.serve_ssl_over_tcp, upper, 0, server_context, host="127.0.0.1")
        )
        port = listener.transport_listener.socket.getsockname()[1]
        stream = await trio.open_ssl_over_tcp_stream("localhost", port, ssl_context=client_context)
        async with stream:
            await stream.send_all(b"secret")
            print(await stream.receive_some())
        nursery.cancel_scope.cancel()


trio.run(main)
