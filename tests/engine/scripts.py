"""Scripts: what happens to a socket, one step after the other, as a line of text.

``recv, late, cancel, recv 3, data one, .`` begins a receive, has the kernel put off what it is
asked, cancels that receive, begins another one, has data arrive, and delivers all packets.  The
outcome is a line as well, with a word for each receive: here ``cancelled, one``.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

import trio

from tests.receiving import RECEIVES, AfterFirstStep, Receive, winerror
from tests.simulation import Call, Simulation
from tests.simulation.sockets import SocketOverSimulation
from trio_wsarecv import IncompleteReceiveError, MsgFlag, SocketStream, WinsockError, wsarecv
from trio_wsarecv._winsock.codes import NtStatus


async def receive_all(sock: SocketOverSimulation, nbytes: int) -> bytes:
    buffers = [bytearray(1), bytearray(), bytearray(nbytes - 1)]
    received, _ = await wsarecv(sock, buffers, MsgFlag.MSG_WAITALL)
    return b"".join(buffers)[:received]


OF_SIZE: dict[str, Any] = {
    "recv": lambda sock, nbytes: sock.recv(nbytes),
    "peek": lambda sock, nbytes: sock.recv(nbytes, MsgFlag.MSG_PEEK),
    "exactly": lambda sock, nbytes: SocketStream(sock).receive_exactly(nbytes),
    "all": receive_all,
}
ERRORS = {
    trio.Cancelled: "cancelled",
    trio.ClosedResourceError: "closed",
    trio.BusyResourceError: "busy",
    trio.BrokenResourceError: "broken",
    IncompleteReceiveError: "incomplete",
}


async def play(
    simulation: Simulation,
    sock: SocketOverSimulation,
    script: str,
    receive: Receive = RECEIVES["recv"],
) -> str:
    """Play a script, and return its outcome.

    ``begin`` begins the receive that is given; ``recv 3`` one of 3 bytes, and ``recv`` of 100.
    What is behind a ``+`` happens in the same turn, right after the next step of that receive.
    """
    calls: list[Call] = []
    tasks: list[trio.lowlevel.Task] = []

    async def begin(what: str, nbytes: int) -> Any:
        tasks.append(trio.lowlevel.current_task())
        return await (receive(sock) if what == "begin" else OF_SIZE[what](sock, nbytes))

    for step in script.split(", "):
        first, *then = step.split(" + ")
        what, _, argument = first.partition(" ")
        begins = what == "begin" or what in OF_SIZE
        if then:
            action = partial(act, simulation, sock, calls, *then)
            task = None if begins else tasks[-1]
            trio.lowlevel.add_instrument(AfterFirstStep(action, task))
        if begins:
            calls.append(simulation.call(begin, what, int(argument or 100)))
            await simulation.run()
        elif what == ".":
            simulation.behave(prompt=True)
            await simulation.step()
        else:
            act(simulation, sock, calls, first)
    return ", ".join(map(outcome_of, calls))


def act(simulation: Simulation, sock: SocketOverSimulation, calls: list[Call], *steps: str) -> None:
    for step in steps:
        match step.split():
            case ["late"]:  # the kernel puts off what it is asked
                simulation.behave(prompt=False)
            case ["dequeue"]:  # all packets, without a turn of the tasks
                simulation.deliver()
            case ["data", data]:
                sock.peer.send(data.encode())
            case ["end"]:
                sock.peer.send_end()
            case ["reset"]:
                sock.peer.reset()
            case ["complete", status, *data]:  # the pending receive
                sock.peer.end(NtStatus[status], "".join(data).encode())
            case ["refuse", error]:  # the next call
                sock.peer.refusals.append(WinsockError[error])
            case ["left", "error"]:  # by an earlier receive
                sock.receiver.pushed_back.defer(ConnectionResetError())
            case ["left", data]:
                sock.receiver.pushed_back.add(data.encode())
            case ["cancel", *which]:  # the last receive, or the one with this index
                calls[int(which[0]) if which else -1].scope.cancel()
            case ["shutdown", side]:
                sock.shutdown(getattr(socket, f"SHUT_{side}"))
            case ["close"]:
                sock.close()
            case ["detach"]:
                sock.detach()
            case _:
                raise ValueError(step)


def outcome_of(call: Call) -> str:
    if not call.done:
        return "waits"
    if call.succeeded:
        return (call.value.decode() or "nothing") if type(call.value) is bytes else "received"
    return ERRORS.get(type(call.error)) or WinsockError(winerror(call.error)).name
