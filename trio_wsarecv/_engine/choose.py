"""Which engine a socket gets in the current run.

Windows refuses to associate a socket with a second completion port: the call fails with
ERROR_INVALID_PARAMETER.  That happens in a later `trio.run`, on a duplicate of the handle, and
after another library has associated the socket.  A socket that was made without overlapped I/O
fails in the same way.  A layered provider whose handles are not file system handles cannot promise
that a receive ends in a packet.  All of these sockets get the readiness engine.

Skip mode, in which a receive that succeeds inline queues no packet, is set only for sockets that
this package made itself: nobody else can be waiting for such packets.

On Windows readiness is the exception, so the logger ``trio_wsarecv`` gets one record for each
reason.
"""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Final

from .._statistics import counters
from .._winsock.provider import provider_of
from .._winsock.status import Mode
from . import port
from .choice import Choice, log_fallback
from .claim import Claim, busy_error
from .memory import Run, here
from .overlapped import OverlappedEngine
from .readiness import StdlibReadiness, WinsockReadiness

if TYPE_CHECKING:
    from .engine import Engine
    from .receiver import Receiver

on_windows = sys.platform == "win32"

_FAMILIES: Final = {socket.AF_INET, socket.AF_INET6}
_METHODS: Final = ("recv", "recv_into", "recvfrom", "recvfrom_into")


def choose_engine(sock: socket.socket, receiver: Receiver) -> Engine:
    """Give a socket its engine for the current run.

    Raises:
      trio.BusyResourceError: a task of another run, in another thread, is receiving.
    """
    run = Run.current()
    last = receiver.engine
    if last is not None:
        if last.claim.taken and not last.run.over:
            raise busy_error()
        last.leave(sock)
    choice, mode = _associate(sock, receiver)
    claim, pushed_back = Claim(), receiver.pushed_back
    engine: Engine
    if choice is Choice.OVERLAPPED:
        counters.overlapped_sockets += 1
        engine = OverlappedEngine(sock, mode, run, claim, pushed_back)
    else:
        counters.readiness_sockets += 1
        if on_windows:
            log_fallback(choice)
        if on_windows and choice is not Choice.OVERRIDDEN:
            engine = WinsockReadiness(sock, mode, run, claim, pushed_back)
        else:
            engine = StdlibReadiness(sock, run, claim, pushed_back)
    receiver.choice = choice
    receiver.engine = engine
    return engine


def engine_of(sock: socket.socket, receiver: Receiver) -> str:
    """Return which engine serves a socket in the current run, and why, in words."""
    if sock.fileno() == -1:
        return Choice.CLOSED.value
    chosen = receiver.engine is not None and receiver.engine.run is here.run
    return (receiver.choice if chosen else Choice.NOT_YET).value


def _overrides_receiving(cls: type) -> bool:
    # A program may replace `socket.socket` by a class of its own.
    native = socket.SocketType
    return issubclass(cls, native) and any(
        getattr(cls, name) is not getattr(native, name) for name in _METHODS
    )


def _associate(sock: socket.socket, receiver: Receiver) -> tuple[Choice, Mode]:
    if not on_windows:
        return Choice.NOT_WINDOWS, Mode.DEFAULT
    if _overrides_receiving(type(sock)):
        return Choice.OVERRIDDEN, Mode.DEFAULT
    try:
        provider = provider_of(sock)
    except OSError:
        return Choice.UNKNOWN_PROVIDER, Mode.DEFAULT
    if not provider.has_ifs_handles:
        return Choice.NO_IFS_HANDLES, Mode.DEFAULT
    handle = sock.fileno()
    if not port.associate(handle):
        return Choice.FOREIGN_PORT, Mode.DEFAULT
    ours = receiver.made_here and sock.family in _FAMILIES
    if ours and provider.chain_length == 1 and port.skip_on_success(handle):
        return Choice.OVERLAPPED, Mode.SKIP_ON_SUCCESS
    return Choice.OVERLAPPED, Mode.DEFAULT
