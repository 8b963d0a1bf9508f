"""How much is measured."""

from __future__ import annotations

from typing import Final, NamedTuple


class Scale(NamedTuple):
    """How much is done.

    Attributes:
      starts: how often all processes are started anew.
      rounds: how often each subject has its turn, for each start.
      seconds: about how long a turn takes.
      receives: how many receives are counted.
      cancelled: how many receives are cancelled at a time, few and many.
      idle: connections that are never received on.
      bursts: connections that are idle after a burst.
      turns: how often each web server has its turn, of seconds.
    """

    # A virtual machine's speed changes every second or so: many short rounds.
    starts: int = 1
    rounds: int = 10
    seconds: float = 0.05
    receives: int = 50
    cancelled: tuple[int, int] = (500, 2000)
    idle: int = 2000
    bursts: int = 500
    turns: int = 4


FULL: Final = Scale()
QUICK: Final = Scale(rounds=2, receives=10, cancelled=(100, 300), idle=200, bursts=100, turns=1)
# Two processes of one program differ by a few per cent for as long as they run.
AGAINST: Final = Scale(starts=3, rounds=15, cancelled=(200, 200), bursts=1000)
AGAINST_QUICK: Final = QUICK._replace(starts=2)
