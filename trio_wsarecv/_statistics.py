"""Counts of the receives of this process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Statistics:
    """What this package has received in this process so far.

    A call that receives is one *receive*.  An exact receive, or one with ``MSG_WAITALL``, is one
    for each part that arrives by itself.  A call that needs no system call is not counted: one for
    0 bytes, or one answered by bytes that a cancelled receive left.
    """

    #: Receives that completed inline, before the system call returned.
    immediate: int = 0
    #: Receives that waited for data, the end of the stream or an error.
    pended: int = 0
    #: Receives that waited and were cancelled.
    cancelled: int = 0
    #: Receives that were cancelled but returned data, because it had arrived.
    received_despite_cancel: int = 0
    #: Receives that ended with an error.
    failed: int = 0
    #: Bytes received.
    bytes: int = 0
    #: Overlapped operations submitted, one for each receive by the overlapped engine, and one
    #: more each time it had to be repeated.
    overlapped: int = 0
    #: Calls to ``WSARecv``, ``WSARecvFrom`` and ``WSARecvMsg``, overlapped or not.
    wsarecv_calls: int = 0
    #: Receives by the readiness engine; all others were overlapped.
    readiness: int = 0
    #: Sockets of this package that were created; 0 means that it is not in use.
    sockets: int = 0
    #: Sockets that got the overlapped engine, counted once for each `trio.run`.
    overlapped_sockets: int = 0
    #: Sockets that got the readiness engine, counted once for each `trio.run`.
    readiness_sockets: int = 0


class Counters:
    """The running counts, one for the process.

    ``not_overlapped`` counts the calls that are not.
    """

    def __init__(self) -> None:
        self.immediate = self.pended = self.cancelled = self.received_despite_cancel = 0
        self.failed = self.bytes = self.overlapped = self.not_overlapped = 0
        self.readiness = self.sockets = self.overlapped_sockets = self.readiness_sockets = 0


counters = Counters()


def statistics() -> Statistics:
    """Return the counts of this process so far.

    Returns:
      A frozen `Statistics`.  Compare two of them to see what happened in between.
    """
    counts = dict(vars(counters))
    wsarecv_calls = counts["overlapped"] + counts.pop("not_overlapped")
    return Statistics(**counts, wsarecv_calls=wsarecv_calls)
