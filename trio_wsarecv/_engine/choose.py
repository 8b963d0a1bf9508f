"""Which engine a socket gets in the current run.

Windows refuses to associate a socket with a second completion port: the call fails with
ERROR_INVALID_PARAMETER.  That happens in a later `trio.run`, on a duplicate of the handle, and
after another library has associated the socket.  A socket that was made without overlapped I/O
fails in the same way.  A layered provider whose handles are not file system handles cannot promise
that a receive ends in a packet.  All of these sockets are received on by readiness.

Skip mode, in which a receive that succeeds inline queues no packet, is set for TCP sockets that
this package made itself: nobody else can be waiting for such packets there.

On Windows readiness is the exception, so the logger ``trio_wsarecv`` gets one record for each
reason.
"""

from __future__ import annotations

import enum
import logging
import socket
import sys
from functools import cache
from typing import TYPE_CHECKING, Final

import trio

from .._statistics import counters
from .._winsock.provider import provider_of
from .._winsock.status import Mode
from . import port
from .memory import MAX_RECEIVE_SIZE, Run
from .overlapped import OverlappedEngine
from .readiness import BY_STDLIB, BY_WINSOCK

if TYPE_CHECKING:
    from types import FrameType

    from .receiver import Receiver

on_windows = sys.platform == "win32"

_OVERLAPPED: Final = OverlappedEngine()
_FAMILIES: Final = {socket.AF_INET, socket.AF_INET6}


class Choice(enum.Enum):
    """The engine that a socket is received on by, and why."""

    OVERLAPPED = "overlapped"
    NOT_WINDOWS = "readiness: overlapped receives exist on Windows only"
    NO_IFS_HANDLES = "readiness: the provider's handles are not handles of the file system"
    CLOSED = "none: it is closed"
    NOT_YET = "none yet: the first receive of a run chooses it"
    FOREIGN_PORT = "readiness: associated with another completion port, or not overlapped"
    PEEK = "readiness: MSG_PEEK is for receives that are not overlapped"


#: The current run, once a socket has been received on in it.
this_run: trio.lowlevel.RunVar[Run | None] = trio.lowlevel.RunVar("trio_wsarecv.this_run")


def is_new_for_trio(caller: FrameType) -> bool:
    """Tell whether a `Socket` wraps what `trio.socket.socket` has just made.

    Args:
      caller: the frame that makes the `Socket`, called by `trio.socket.socket` in that case.
    """
    frame = caller.f_back
    code = trio.socket.socket.__code__
    return frame is not None and frame.f_code is code and frame.f_locals["fileno"] is None


def choose_engine(sock: socket.socket, receiver: Receiver) -> Choice:
    """Give a socket its engine for the current run, and say which and why."""
    if sock.fileno() == -1:
        receiver.engine = BY_WINSOCK if on_windows else BY_STDLIB
        return Choice.CLOSED
    run = this_run.get(None)
    if run is None:
        run = Run()
        this_run.set(run)
    choice, mode = _associate(sock, receiver)
    if choice is Choice.OVERLAPPED:
        counters.overlapped_sockets += 1
        receiver.engine = _OVERLAPPED
    else:
        counters.readiness_sockets += 1
        receiver.receive_size = MAX_RECEIVE_SIZE  # since nothing waits there
        receiver.engine = BY_WINSOCK if on_windows else BY_STDLIB
        if on_windows:
            log_fallback(choice)
    receiver.run = run
    receiver.choice = choice
    receiver.mode = mode
    return choice


def engine_of(sock: socket.socket, receiver: Receiver) -> str:
    """Say which engine serves a socket in the current run, and why."""
    if sock.fileno() == -1:
        return Choice.CLOSED.value
    chosen = trio.lowlevel.in_trio_run() and receiver.run is this_run.get(None)
    return (receiver.choice if chosen else Choice.NOT_YET).value


@cache  # which makes it once for each reason
def log_fallback(choice: Choice) -> None:
    """Log that, on Windows, something is received by readiness."""
    logging.getLogger("trio_wsarecv").info("received by %s", choice.value)


def _associate(sock: socket.socket, receiver: Receiver) -> tuple[Choice, Mode]:
    if not on_windows:
        return Choice.NOT_WINDOWS, Mode.DEFAULT
    provider = provider_of(sock)
    if not provider.has_ifs_handles:
        return Choice.NO_IFS_HANDLES, Mode.DEFAULT
    handle = sock.fileno()
    if not port.associate(handle):
        return Choice.FOREIGN_PORT, Mode.DEFAULT
    ours = receiver.made_here and receiver.is_stream and sock.family in _FAMILIES
    if ours and provider.chain_length == 1 and port.skip_on_success(handle):
        return Choice.OVERLAPPED, Mode.SKIP_ON_SUCCESS
    return Choice.OVERLAPPED, Mode.DEFAULT
