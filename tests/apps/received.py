"""A check of the statistics of a process."""

from __future__ import annotations

import sys
from collections.abc import Mapping

on_windows = sys.platform == "win32"


def check_received(
    before: Mapping[str, int], after: Mapping[str, int], nbytes: int, *, failures: int = 0
) -> None:
    """Check that a process received at least so many bytes by the overlapped engine.

    Off Windows nothing is patched, and nothing is counted.

    Args:
      before: the statistics at first.
      after: the statistics then.
      nbytes: the bytes that have come meanwhile.
      failures: the receives that may have failed meanwhile.
    """
    gained = {name: after[name] - before[name] for name in after}
    if not on_windows:
        assert not any(gained.values()), gained
        return
    assert gained["bytes"] >= nbytes, gained
    assert gained["failed"] <= failures, gained
    # If a peer is quicker, few receives or none have to wait.
    assert after["wsarecv_calls"] >= after["overlapped"] > 0, after
    assert (after["overlapped_sockets"] > 0, after["readiness_sockets"]) == (True, 0), after
