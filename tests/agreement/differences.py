"""Where the worlds differ, and why: what a scenario gives there instead."""

from __future__ import annotations

from dataclasses import dataclass

from tools.windows import WINE

from .scenarios import WSAEMSGSIZE, Result, received

ERROR_HANDLES_CLOSED = 676
ERROR_CONNECTION_ABORTED = 1236


@dataclass(frozen=True)
class Difference:
    """What the receives of a scenario give in one world, in order, and why."""

    results: list[Result]
    reason: str


#: By world and scenario.
DIFFERENCES = {
    ("_overlapped", "closing while a receive waits"): Difference(
        [Result("closed", code=ERROR_HANDLES_CLOSED if WINE else ERROR_CONNECTION_ABORTED)],
        "here the handle is closed while the receive is pending; the package cancels the receive "
        "first.  Windows gives STATUS_CONNECTION_ABORTED then, Wine HANDLES_CLOSED",
    ),
    ("_overlapped", "a datagram that does not fit before the receive"): Difference(
        [Result("failed", error=WSAEMSGSIZE, code=234), received(b"next")],
        "CPython takes WSAEMSGSIZE for a refusal, and frees the buffer and what the kernel has "
        "written into it; a packet comes nonetheless, and nobody waits for it",
    ),
    ("_overlapped", "a datagram that does not fit after the receive"): Difference(
        [Result("received", b"0123", code=234), received(b"next")],
        "CPython takes ERROR_MORE_DATA for success and does not report that the rest is lost",
    ),
    ("_overlapped", "two receives at once"): Difference(
        [received(b"1234"), received(b"5678")],
        "the kernel fills the buffers of several receives in order; the package allows one at a "
        "time, since cancelling one of several on a connection cancels all of them",
    ),
}
if WINE:
    DIFFERENCES["_overlapped", "closing a datagram socket while a receive waits"] = Difference(
        [Result("closed", code=ERROR_HANDLES_CLOSED)],
        "as above; Windows gives STATUS_CANCELLED for datagrams, as for a cancelled receive",
    )
