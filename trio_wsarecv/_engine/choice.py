"""Which engine serves a socket, and why, in words."""

from __future__ import annotations

import enum
import logging
from functools import cache


class Choice(enum.Enum):
    """Which engine serves a socket, and why."""

    OVERLAPPED = "overlapped"
    NOT_WINDOWS = "readiness: overlapped receives exist on Windows only"
    NO_IFS_HANDLES = "readiness: the provider's handles are not handles of the file system"
    UNKNOWN_PROVIDER = "readiness: Winsock does not say which provider the socket has"
    CLOSED = "none: it is closed"
    NOT_YET = "none yet: the first receive of a run chooses it"
    FOREIGN_PORT = "readiness: associated with another completion port, or not overlapped"
    OVERRIDDEN = "readiness: the socket's class receives in its own way"
    PEEK = "readiness: MSG_PEEK is for receives that are not overlapped"


@cache  # so once for each reason
def log_fallback(choice: Choice) -> None:
    """Log that a socket or a receive uses readiness on Windows."""
    logging.getLogger("trio_wsarecv").info("received by %s", choice.value)
