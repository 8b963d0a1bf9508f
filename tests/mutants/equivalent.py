"""Mutants that no test can kill, and why.

Each is told by the line as it is and as the mutant has it, so that an edit elsewhere leaves it.
"""

from __future__ import annotations

from typing import Final

#: By module, by reason: the line before and after.
EQUIVALENT: Final[dict[str, dict[str, list[tuple[str, str]]]]] = {
    "_winsock/status.py": {
        "for Windows, where these tests do not run": [
            ("return OSError(None, text, None, int(error))", "pass")
        ],
    },
    "_winsock/provider.py": {
        "Windows fills less room than it is given": [
            ("_SIZE: Final = 628", "_SIZE: Final = 629"),
        ],
    },
    "_engine/receive.py": {
        "every public call is protected from KeyboardInterrupt already, and so is what it calls": [
            ("@trio.lowlevel.enable_ki_protection", ""),
        ],
    },
    "_engine/overlapped.py": {
        "with 1024 bytes wanted, the checkpoint comes before the receive instead of after it": [
            (
                "if receiver.receive_size > MIN_RECEIVE_SIZE < request.wants:",
                "if receiver.receive_size > MIN_RECEIVE_SIZE <= request.wants:",
            ),
        ],
        "a failure has an error, which the type does not say": [
            (f"{call}(verdict.error or 0){end}", f"{call}(verdict.error or {other}){end}")
            for call, end in (
                ("raise calls.winsock_error", ""),
                ("receiver.defer(calls.winsock_error", ")"),
            )
            for other in (1, -1)
        ],
        "the coroutine has nothing to do when it is closed": [("waiter.close()", "pass")],
    },
}


def reason(module: str, before: str, after: str) -> str | None:
    """Return why a mutant behaves as the original does; None if nobody has said so."""
    for why, mutants in EQUIVALENT.get(module, {}).items():
        if (before, after) in mutants:
            return why
    return None
