"""Trio as the guest of asyncio: both run in one thread, and receives are overlapped."""

import asyncio

import trio

import trio_wsarecv


async def answer(stream: trio.SocketStream) -> None:
    try:
        async for data in stream:
            await stream.send_all(data.upper())
    except trio.BrokenResourceError:
        pass  # the client has broken the connection


async def ask() -> bytes:
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, answer, [listener])
        port = listener.socket.getsockname()[1]
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(b"hello")
            reply = bytes(await stream.receive_some())
        nursery.cancel_scope.cancel()
    return reply


async def host() -> None:
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    trio.lowlevel.start_guest_run(
        ask,
        run_sync_soon_threadsafe=loop.call_soon_threadsafe,
        done_callback=ended.set_result,
    )
    outcome = await ended
    print(outcome.unwrap(), trio_wsarecv.statistics().overlapped_sockets, "overlapped sockets")


if __name__ == "__main__":
    trio_wsarecv.patch_trio()
    asyncio.run(host())
