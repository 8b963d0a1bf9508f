"""Mutants that no test can kill, and why.

Each is told by the line as it is and as the mutant has it, so that an edit elsewhere leaves it.
"""

from __future__ import annotations

from typing import Final

#: By module, by reason: the line before and after.
EQUIVALENT: Final[dict[str, dict[str, list[tuple[str, str]]]]] = {}


def reason(module: str, before: str, after: str) -> str | None:
    """Return why a mutant behaves as the original does; None if nobody has said so."""
    for why, mutants in EQUIVALENT.get(module, {}).items():
        if (before, after) in mutants:
            return why
    return None
