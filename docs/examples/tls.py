"""The echo server with TLS."""

import ssl

import trio
import trustme

import trio_wsarecv

authority = trustme.CA()
server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("localhost").configure_cert(server_context)
client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
authority.configure_trust(client_context)


async def echo(transport: trio_wsarecv.SocketStream) -> None:
    stream = trio.SSLStream(transport, server_context, server_side=True)
    try:
        async for data in stream:
            await stream.send_all(data)
        await stream.aclose()
    except trio.BrokenResourceError:
        pass  # the client has broken the connection, or does not speak TLS


async def greet(port: int) -> None:
    transport = await trio_wsarecv.open_tcp_stream("127.0.0.1", port)
    stream = trio.SSLStream(transport, client_context, server_hostname="localhost")
    async with stream:
        await stream.send_all(b"hello")
        print(await stream.receive_some())


async def main() -> None:
    async with trio.open_nursery() as nursery:
        (listener,) = await trio_wsarecv.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, echo, [listener])
        await greet(listener.socket.getsockname()[1])
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
