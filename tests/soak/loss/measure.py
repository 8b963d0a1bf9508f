"""What the programs that are compared have in common: the job, its pace, and the answer."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass

TOTAL = 32 << 20
PIECE = 16 << 10
#: Seconds that one receive may take before it is cancelled, at the most.
PATIENCE = 0.002
#: Seconds between two pieces, at the most.
PAUSE = 0.008

#: What the line with the answer begins with.
MARK = "loss"


@dataclass
class Answer:
    """What became of the bytes.

    Attributes:
      library: what received them, with its version.
      cancelled: how many receives ended in cancellation.
      received: how many bytes they gave in all.
    """

    library: str
    cancelled: int = 0
    received: int = 0

    def print(self) -> None:
        print(MARK, json.dumps(asdict(self)), flush=True)


def patience() -> float:
    """Return how long the next receive may take, in seconds."""
    return random.uniform(0, PATIENCE)
