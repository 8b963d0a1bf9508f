"""Counts of what has been received in this process, and how."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Statistics:
    """What this package has done in this process so far.

    A *receive* is one request that reached an engine; requests that need no kernel (for nothing,
    or for bytes already at hand) are not counted.
    """

    #: Receives that completed inline, before the kernel's call returned.
    immediate: int = 0
    #: Receives that waited in the kernel until data, the end of the stream or an error came.
    pended: int = 0
    #: Of the pended ones, those that ended in cancellation.
    cancelled: int = 0
    #: Of all, those that ended with bytes although cancellation had been asked for.
    received_despite_cancel: int = 0
    #: Of all, those that ended with an error.
    failed: int = 0
    #: Bytes received.
    bytes: int = 0
    #: Operations submitted with an ``OVERLAPPED``: one for each receive on an associated socket,
    #: and one more where it had to be repeated.
    overlapped: int = 0
    #: Calls of ``WSARecv``, ``WSARecvFrom`` and ``WSARecvMsg``, overlapped or not.
    wsarecv_calls: int = 0
    #: Sockets given to the overlapped engine (once for each `trio.run` that received on them).
    overlapped_sockets: int = 0
    #: Sockets given to the readiness engine (once for each `trio.run` that received on them).
    readiness_sockets: int = 0


class Counters:
    """The running counts, one for the process."""

    def __init__(self) -> None:
        self.immediate = self.pended = self.cancelled = self.received_despite_cancel = 0
        self.failed = self.bytes = self.overlapped = self.wsarecv_calls = 0
        self.overlapped_sockets = self.readiness_sockets = 0


counters = Counters()


def statistics() -> Statistics:
    """Return what this package has received in this process so far, and how.

    Returns:
      A frozen `Statistics`; subtract the fields of two of them to see what happened between.
    """
    return Statistics(**vars(counters))
