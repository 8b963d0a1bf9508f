"""Plays a program in this process with Trio, and records its outcome."""

from __future__ import annotations

import socket
import time
from collections.abc import Awaitable, Callable
from functools import partial
from math import inf
from typing import Any

import trio
import trio.testing

from .ends import End, pattern
from .outcome import CANCELLED, Entry, Outcome, of_data, of_error
from .program import (
    DATAGRAMS,
    Burst,
    Busy,
    Cancel,
    Close,
    HandOn,
    Operation,
    Own,
    Peer,
    Program,
    Receive,
    Send,
    Shutdown,
)

#: How many bytes must pass, one after the other, until all that was sent before has arrived: each
#: takes a poll and the receive that follows it, which may be on either side of a step.
ROUNDS = 3
LATE = 0.001  # seconds between two checks whether all short deadlines have passed
AMPLE = 1.0  # seconds from which a deadline is not short
PATIENCE = 3.0  # seconds that the rest of the data may take in the end
LAST = b"last"  # the last datagram
TOO_LARGE = 10040  # the Winsock error of a datagram that does not fit and is lost

ERRORS = (
    OSError,
    RecursionError,
    trio.BrokenResourceError,
    trio.BusyResourceError,
    trio.ClosedResourceError,
)


class Sentinel:
    """A connection whose bytes arrive after everything that was sent before."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def pass_through(self) -> None:
        self._far.send(b"x")
        await trio.lowlevel.wait_readable(self._near)
        self._near.recv(1)


class Play:
    """A program that is being played."""

    def __init__(
        self,
        program: Program,
        sentinel: Sentinel,
        connect_hostile: Callable[[], tuple[socket.socket, Any]],
    ) -> None:
        self.outcome = Outcome()
        self._program = program
        self._sentinel = sentinel
        self._connect_hostile = connect_hostile
        self._burst = 0
        self._ends: list[End] = []
        self._scopes: dict[int, trio.CancelScope] = {}
        self._groups: dict[int, trio.Nursery] = {}
        self._root: trio.Nursery
        self._short = 0

    async def run(self, number: int) -> None:
        """Play one run of the program, and after the last account for all bytes."""
        async with trio.open_nursery() as self._root:
            if not number:
                for index, kind in enumerate(self._program.sockets):
                    self._ends.append(End(f"socket {index}", kind))
                    await self._ends[index].open(self._connect_hostile)
            for burst in self._program.runs[number]:
                await self._open_groups(burst)
                for operation in burst:
                    self._perform(operation)
                await self._settle()
                self._burst += 1
            for nursery in list(self._groups.values()):
                nursery.cancel_scope.cancel()
            await self._settle()
            if number == len(self._program.runs) - 1:
                for end in self._ends:
                    await self._account(end)
                for end in self._ends:
                    end.close()

    async def _settle(self) -> None:
        while True:
            for _ in range(ROUNDS):
                await self._sentinel.pass_through()
                await trio.testing.wait_all_tasks_blocked()
            if not self._short:
                break
            await trio.sleep(LATE)

    async def _open_groups(self, burst: Burst) -> None:
        for operation in burst:
            group = getattr(operation, "group", None)
            if group is not None and group not in self._groups:
                await self._root.start(self._group, group)

    async def _group(
        self, group: int, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        try:
            async with trio.open_nursery() as nursery:
                self._groups[group] = nursery
                task_status.started()
                await trio.sleep_forever()
        except Exception as exc:
            self._note(f"group {group}", "nursery", of_error(exc))
        else:
            self._note(f"group {group}", "nursery", CANCELLED)
        finally:
            del self._groups[group]

    def _note(self, whose: str, what: str, result: str) -> None:
        entry = Entry(self._burst, what, result)
        self.outcome.histories.setdefault(whose, []).append(entry)

    def _perform(self, operation: Operation) -> None:
        # Performs it now, without a checkpoint, or starts a task that does.
        end = self._ends[getattr(operation, "socket", 0)]
        match operation:
            case Cancel(name=int(name)):
                if name in self._scopes:
                    self._scopes[name].cancel()
            case Cancel():
                for group, nursery in self._groups.items():
                    if operation.group in (None, group):
                        nursery.cancel_scope.cancel()
            case Busy():
                for _ in range(operation.tasks):
                    self._root.start_soon(self._be_busy, operation.rounds)
            case Receive():
                scope = self._scopes[operation.name] = trio.CancelScope()
                self._groups[operation.group].start_soon(self._receive, end, operation, scope)
            case Send():
                self._groups[operation.group].start_soon(self._send, end, operation)
            case Own():
                self._groups[operation.group].start_soon(self._own, end)
            case Close():
                end.touched = True
                if operation.how == "close":
                    end.sock.close()
                else:
                    self._root.start_soon(trio.aclose_forcefully, end.stream)
            case Shutdown():
                end.touched = True
                self._attempt(end, "shutdown", lambda: end.sock.shutdown(operation.how))
            case Peer() if end.kind == DATAGRAMS:
                end.senders.send(end.next_bytes(operation.nbytes), operation.sender)
            case Peer(how="send"):
                self._peer_sends(end, operation.nbytes)
            case Peer(how="drip"):
                self._root.start_soon(self._drip, end, operation.nbytes)
            case Peer(how="finish"):
                end.finished = True
                self._attempt(end, "peer", end.peer.finish)
            case Peer():
                end.touched = end.finished = True
                end.peer.reset()
            case HandOn() if not (end.receiving or end.touched):
                self._attempt(end, "hand on", lambda: self._hand_on(end, operation.how))

    def _attempt(self, end: End, what: str, function: Callable[[], object]) -> None:
        try:
            function()
        except OSError as exc:
            self._note(end.name, what, of_error(exc))

    def _peer_sends(self, end: End, nbytes: int) -> None:
        if end.finished:
            return
        try:
            end.peer.send(end.next_bytes(nbytes))
        except OSError:  # our end is closed
            end.touched = end.finished = True

    def _hand_on(self, end: End, how: str) -> None:
        if how == "dup":
            old = end.sock
            end.replace(old.dup())
            old.close()
        else:
            end.replace(trio.socket.from_stdlib_socket(socket.socket(fileno=end.sock.detach())))

    async def _be_busy(self, rounds: int) -> None:
        for _ in range(rounds):
            time.sleep(0.001)  # noqa: ASYNC251 - other tasks have to cope with it
            await trio.lowlevel.checkpoint()

    async def _drip(self, end: End, nbytes: int) -> None:
        for _ in range(nbytes):
            self._peer_sends(end, 1)
            await trio.lowlevel.checkpoint()

    async def _own(self, end: End) -> None:
        try:
            async with end.stream:
                await trio.sleep_forever()
        finally:
            end.touched = True

    async def _send(self, end: End, operation: Send) -> None:
        data = pattern(sum(map(len, end.own)), operation.nbytes)
        end.own.append(data)
        try:
            await end.stream.send_all(data)
        except trio.Cancelled:
            if data in end.own:  # the kernel has room, so it was cancelled before it began
                end.own.remove(data)
            raise
        except ERRORS as exc:
            end.own.clear()
            self._note(end.name, "send", of_error(exc))

    async def _receive(self, end: End, receive: Receive, scope: trio.CancelScope) -> None:
        what = f"{receive.call}({receive.size})@{self._burst}"
        flags = socket.MSG_PEEK if receive.peek else 0
        function = partial(end.receive, receive.call, receive.size, flags)
        above = 0 if receive.frames is None else await room() - receive.frames
        end.receiving += 1
        try:
            with scope:
                for number in range(receive.times):
                    which = f"{what} #{number:02}" if number else what
                    call = partial(descend, above, function) if receive.frames else function
                    if not await self._receive_once(end, receive, call, which):
                        break
                    above += 1  # like a parser of nested data
        except ERRORS:
            if not receive.caught:
                raise
        finally:
            end.receiving -= 1

    async def _receive_once(
        self, end: End, receive: Receive, function: Callable[[], Awaitable[bytes | str]], what: str
    ) -> bool:
        # Returns whether more data may come.
        self.outcome.receives += 1
        seconds = inf if receive.deadline is None else receive.deadline
        self._short += seconds < AMPLE
        with trio.move_on_after(seconds):
            try:
                result = await function()
            except trio.Cancelled:
                self._note(end.name, what, CANCELLED)
                raise
            except ERRORS as exc:
                self._note(end.name, what, of_error(exc))
                end.taken += is_too_large(exc) and not receive.peek
                raise
            finally:
                self._short -= seconds < AMPLE
            self._note(end.name, what, of_data(result))
            if receive.size and not receive.peek:  # without room nothing is received
                end.take(self._burst, result)
            return bool(result)
        return True

    async def _account(self, end: End) -> None:
        # Receives the rest, after which nothing may be missing.
        to_the_end, problem = False, ""
        if end.sock.fileno() != -1:
            to_the_end, problem = not end.touched, ", then nothing"
            with trio.move_on_after(PATIENCE):
                try:
                    await self._receive_rest(end)
                    problem = ""
                except ERRORS as exc:
                    problem = f", then {of_error(exc)}"
        self.outcome.accounts[end.name] = end.account(to_the_end=to_the_end) + problem

    async def _receive_rest(self, end: End) -> None:
        if end.kind != DATAGRAMS:
            if not end.finished:
                end.peer.finish()
            while data := bytes(await end.stream.receive_some(65536)):
                end.take(self._burst, data)
            return
        end.senders.send(LAST)
        while True:
            try:
                data = await end.sock.recv(65536)
            except OSError as exc:
                if not is_too_large(exc):
                    raise
                data = b""  # a failed receive took this datagram, which was too large for it
            if data == LAST:
                break
            end.take(self._burst, data)


def is_too_large(error: BaseException) -> bool:
    return getattr(error, "winerror", None) == TOO_LARGE


async def room(used: int = 0) -> int:
    """Return how many frames are left to the recursion limit."""
    try:
        return await room(used + 1)
    except RecursionError:
        return used


async def descend(frames: int, function: Callable[[], Awaitable[bytes | str]]) -> bytes | str:
    """Call a function this many frames further down."""
    return await (descend(frames - 1, function) if frames > 0 else function())
