"""Which engine a socket gets in the current run.

A socket's file object can be associated with one completion port in its life.  Windows refuses a
second association, be it with the port of a later `trio.run`, through a duplicate of the handle
or because some other library came first, with ERROR_INVALID_PARAMETER; so it does for a socket
that was made without overlapped I/O.  A layered provider whose handles are not handles of the
file system cannot promise that a receive ends in a packet.  Those sockets are received on by
readiness.
"""

from __future__ import annotations

import enum
import sys
from typing import TYPE_CHECKING, Final

import trio

from ._overlapped import port
from ._provider import provider_of
from ._statistics import counters

if TYPE_CHECKING:
    import socket

on_windows = sys.platform == "win32"

ERROR_INVALID_PARAMETER: Final = 87


class Engine(enum.Enum):
    """The way in which a socket is received on, and why."""

    OVERLAPPED = "overlapped"
    NOT_WINDOWS = "readiness: overlapped receives exist on Windows only"
    NO_IFS_HANDLES = "readiness: the provider's handles are not handles of the file system"
    FOREIGN_PORT = "readiness: associated with another completion port, or not overlapped"


#: An object that stands for the current `trio.run`, once a socket has been received on in it.
this_run: trio.lowlevel.RunVar[object] = trio.lowlevel.RunVar("trio_wsarecv.this_run")


def choose_engine(sock: socket.socket) -> Engine:
    """Associate a socket with the current run's completion port, or say why that cannot be."""
    if this_run.get(None) is None:
        this_run.set(object())
    engine = _associate(sock)
    if engine is Engine.OVERLAPPED:
        counters.overlapped_sockets += 1
    else:
        counters.readiness_sockets += 1
    return engine


def _associate(sock: socket.socket) -> Engine:
    if not on_windows:
        return Engine.NOT_WINDOWS
    if not provider_of(sock).has_ifs_handles:
        return Engine.NO_IFS_HANDLES
    try:
        port.register_with_iocp(sock.fileno())
    except OSError as exc:
        if getattr(exc, "winerror", None) != ERROR_INVALID_PARAMETER:
            raise
        return Engine.FOREIGN_PORT
    return Engine.OVERLAPPED
