"""Closes what another task is receiving on, as a stream and as a socket."""

import trio


async def let_the_others_run() -> None:
    # trio.testing.wait_all_tasks_blocked takes long to import.
    for _ in range(5):
        await trio.lowlevel.checkpoint()


async def receive(name: str, stream: trio.SocketStream, results: list[str]) -> None:
    try:
        results.append(f"{name} received {await stream.receive_some(100)!r}")
    except trio.ClosedResourceError:
        results.append(f"{name} was closed by another task")


async def main() -> None:
    for close in ("stream", "socket"):
        left, right = map(trio.SocketStream, trio.socket.socketpair())
        results: list[str] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive, "left", left, results)
            nursery.start_soon(receive, "right", right, results)
            await let_the_others_run()
            if close == "stream":
                await left.aclose()
            else:
                left.socket.close()
            print("fileno", left.socket.fileno())
        print(sorted(results))
        await right.aclose()


trio.run(main)
