"""Counts of the receives of this process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Statistics:
    """What this package has received in this process so far.

    A call that receives is one *receive*.  An exact receive, or one with ``MSG_WAITALL``, is one
    for each part that arrives by itself.  A call that needs no system call is not counted: one for
    0 bytes, or one answered by bytes that a cancelled receive left.

    Attributes:
      immediate: receives that completed inline, before the system call returned.
      pended: receives that waited for data, the end of the stream or an error.
      cancelled: receives that waited and were cancelled.
      received_despite_cancel: receives that were cancelled but returned data, because it had
          arrived.
      failed: receives that ended with an error.
      bytes: bytes received.
      datagrams: datagrams received.
      truncated: those of them that did not fit, as far as the call can tell: off Windows, if it
          returns flags.
      batches: calls of `Socket.recvfrom_many` and `Socket.recvmsg_many` that returned.
      overlapped: overlapped operations submitted, one for each receive by the overlapped engine,
          and one more each time it had to be repeated.
      wsarecv_calls: calls to ``WSARecv``, ``WSARecvFrom`` and ``WSARecvMsg``, overlapped or not.
      readiness: receives by the readiness engine; all others were overlapped.
      sockets: sockets of this package that were created; 0 means that it is not in use.
      overlapped_sockets: sockets that got the overlapped engine, counted once for each `trio.run`.
      readiness_sockets: sockets that got the readiness engine, counted once for each `trio.run`.
    """

    immediate: int = 0
    pended: int = 0
    cancelled: int = 0
    received_despite_cancel: int = 0
    failed: int = 0
    bytes: int = 0
    datagrams: int = 0
    truncated: int = 0
    batches: int = 0
    overlapped: int = 0
    wsarecv_calls: int = 0
    readiness: int = 0
    sockets: int = 0
    overlapped_sockets: int = 0
    readiness_sockets: int = 0


class Counters:
    """The running counts of the process.

    ``not_overlapped`` counts the calls without an ``OVERLAPPED``.
    """

    def __init__(self) -> None:
        self.immediate = self.pended = self.cancelled = self.received_despite_cancel = 0
        self.failed = self.bytes = self.datagrams = self.truncated = self.batches = 0
        self.overlapped = self.not_overlapped = 0
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
