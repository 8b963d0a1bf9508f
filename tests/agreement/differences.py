"""Where the worlds differ, and why: what a scenario gives there instead."""

from __future__ import annotations

from dataclasses import dataclass

from tools.windows import WINE

from .result import Result
from .scenarios import WSAEMSGSIZE, received

ERROR_HANDLES_CLOSED = 676
ERROR_CONNECTION_ABORTED = 1236


@dataclass(frozen=True)
class Difference:
    """What a scenario gives in one world.

    Attributes:
      results: what the receives give, in order.
      reason: why.
    """

    results: list[Result]
    reason: str


#: By world and scenario.
DIFFERENCES = {
    ("_overlapped", "closing while a receive waits"): Difference(
        [Result("closed", code=ERROR_HANDLES_CLOSED if WINE else ERROR_CONNECTION_ABORTED)],
        "here the handle is closed under the receive, where the package has the kernel give the "
        "receive up first; Windows says STATUS_CONNECTION_ABORTED then, Wine HANDLES_CLOSED",
    ),
    ("_overlapped", "a datagram that does not fit before the receive"): Difference(
        [Result("failed", error=WSAEMSGSIZE, code=234), received(b"next")],
        "CPython takes WSAEMSGSIZE for a refusal, lets go of the buffer and of what the kernel "
        "had written into it; the packet that comes nevertheless finds nobody",
    ),
    ("_overlapped", "a datagram that does not fit after the receive"): Difference(
        [Result("received", b"0123", code=234), received(b"next")],
        "CPython takes ERROR_MORE_DATA for success and does not tell that the rest is lost",
    ),
    ("_overlapped", "two receives at once"): Difference(
        [received(b"1234"), received(b"5678")],
        "the kernel fills the buffers of several receives in order; the package allows one at a "
        "time, for cancelling one of several on a connection gives all of them up",
    ),
}
if WINE:
    DIFFERENCES["_overlapped", "closing a datagram socket while a receive waits"] = Difference(
        [Result("closed", code=ERROR_HANDLES_CLOSED)],
        "as above; Windows says STATUS_CANCELLED for datagrams, as for a receive given up",
    )
