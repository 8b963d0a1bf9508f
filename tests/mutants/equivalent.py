"""Mutants that no test can kill, and why.

Each is told by the line as it is and as the mutant has it, so that an edit elsewhere leaves it.
"""

from __future__ import annotations

from typing import Final

_ROOM: Final = "room = [] if {} else [bytes(MAX_RECEIVE_SIZE) for _ in range(_MOST_RESULTS)]"
_ALLOCATOR: Final = "_allocate = ffi.new_allocator(should_clear_after_alloc={})"

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
    "_engine/memory.py": {
        "for how many results there is room behind the first block is a choice": [
            ("_MOST_RESULTS: Final = 4", "_MOST_RESULTS: Final = 5"),
            ("_MOST_RESULTS: Final = 4", "_MOST_RESULTS: Final = 3"),
        ],
        "where a block lies is seen from the time that receives take": [
            (_ROOM.format("self._made"), _ROOM.format("not self._made")),
        ],
        "the room is free when the method returns": [("del room", "pass")],
        "nobody reads what has not been received": [
            (_ALLOCATOR.format(False), _ALLOCATOR.format(True)),
        ],
    },
}


def reason(module: str, before: str, after: str) -> str | None:
    """Return why a mutant behaves as the original does; None if nobody has said so."""
    for why, mutants in EQUIVALENT.get(module, {}).items():
        if (before, after) in mutants:
            return why
    return None
