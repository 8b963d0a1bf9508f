"""How much is measured."""

from __future__ import annotations


class Scale:
    """How much is done in a quick run, and in a full one."""

    def __init__(self, quick: bool) -> None:
        self.rounds = 3 if quick else 7
        self.seconds = 0.15 if quick else 0.2
        self.growth_rounds = 3 if quick else 5
        self.receives = 50 if quick else 200
        self.cancelled = (100, 1000) if quick else (500, 5000)
        self.idle = 500 if quick else 5000
        self.bursts = 500 if quick else 1000
        self.download = 64 if quick else 256  # MiB


class ScaleAgainst(Scale):
    """The same where a commit is compared: less at a time, and with new processes in between."""

    def __init__(self, quick: bool) -> None:
        super().__init__(quick)
        self.starts = 2 if quick else 3
        self.rounds = 4 if quick else 5
        self.seconds = 0.15
        self.cancelled = (200, 200)
        self.bursts = 500 if quick else 1000
