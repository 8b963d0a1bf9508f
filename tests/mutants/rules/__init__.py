"""The mutations, by hand: for each, the rule that it breaks."""

from __future__ import annotations

from . import (
    association,
    closing,
    datagram,
    operation,
    overlapped,
    readiness,
    receive,
    receiver,
    scatter,
    status,
)

MUTATIONS = [
    *status.RULES,
    *operation.RULES,
    *overlapped.RULES,
    *readiness.RULES,
    *receive.RULES,
    *receiver.RULES,
    *closing.RULES,
    *association.RULES,
    *scatter.RULES,
    *datagram.RULES,
]
