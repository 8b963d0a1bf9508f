"""Lines over TLS, by Trio's own functions."""

import ssl

import trio
import trustme
from tricycle import TextReceiveStream

import trio_wsarecv

END = "\r\n"
LONGEST = 1000
authority = trustme.CA()
server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("127.0.0.1").configure_cert(server_context)
client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
authority.configure_trust(client_context)


async def shout(stream: trio.SSLStream[trio.SocketStream]) -> None:
    lines = TextReceiveStream(stream, "ascii", newline=END)
    try:
        # A line without an end is too long, or is the last one.
        while (line := await lines.receive_line(LONGEST)).endswith(END):
            await stream.send_all(line.upper().encode())
        await stream.aclose()
    except (trio.BrokenResourceError, UnicodeError) as error:
        print("lost a client:", error)


async def talk(port: int) -> None:
    stream = await trio.open_ssl_over_tcp_stream("127.0.0.1", port, ssl_context=client_context)
    lines = TextReceiveStream(stream, "ascii", newline=END)
    async with stream:
        await stream.send_all(b"hel")  # a TLS record can end inside a line
        await stream.send_all(b"lo\r\ngoodbye\r\n")
        print(await lines.receive_line(), await lines.receive_line(), sep="", end="")


async def main() -> None:
    trio_wsarecv.install()
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        over_tls = trio.SSLListener(listener, server_context)
        nursery.start_soon(trio.serve_listeners, shout, [over_tls])
        await talk(listener.socket.getsockname()[1])
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
