"""Messages with a length, over TLS."""

import ssl

import trio
import trustme
from tricycle import BufferedReceiveStream

import trio_wsarecv

authority = trustme.CA()
server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("localhost").configure_cert(server_context)
client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
authority.configure_trust(client_context)


async def print_messages(transport: trio_wsarecv.SocketStream) -> None:
    stream = trio.SSLStream(transport, server_context, server_side=True)
    buffered = BufferedReceiveStream(stream)
    try:
        while header := await buffered.receive_all_or_none(2):
            message = await buffered.receive_exactly(int.from_bytes(header, "big"))
            print(message.decode())
    except (trio.BrokenResourceError, ValueError) as error:
        print("lost a client:", error)
    await stream.aclose()


async def send_messages(port: int) -> None:
    transport = await trio_wsarecv.open_tcp_stream("127.0.0.1", port)
    async with trio.SSLStream(transport, client_context, server_hostname="localhost") as stream:
        await stream.send_all(b"\x00\x05hel")  # a TLS record can end inside a message
        await stream.send_all(b"lo\x00\x07good")
        await stream.send_all(b"bye")


async def main() -> None:
    async with trio.open_nursery() as nursery:
        (listener,) = await trio_wsarecv.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(send_messages, listener.socket.getsockname()[1])
        async with await listener.accept() as transport:
            await print_messages(transport)
        await listener.aclose()


if __name__ == "__main__":
    trio.run(main)
