"""How much is measured."""

from __future__ import annotations


class Scale:
    """How much is done in a quick run, and in a full one."""

    def __init__(self, quick: bool) -> None:
        # Two processes of one program differ by a few per cent for as long as they run.
        self.starts = 1 if quick else 2
        # A virtual machine's speed changes every second or so: many short rounds, for each start.
        self.rounds = 8 if quick else 14
        self.seconds = 0.05
        self.growth_rounds = 6 if quick else 20
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
        self.rounds = 8 if quick else 15
        self.cancelled = (200, 200)
        self.bursts = 500 if quick else 1000
