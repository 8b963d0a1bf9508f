"""Mutants that no test can kill, and why.

Each is told by the line as it is and as the mutant has it, so that an edit elsewhere leaves it.
"""

from __future__ import annotations

from typing import Final

# Lines that are long.
_FOLLOWS: Final = "self.packet_follows_success: bool = packet_follows(0, {}, mode)"
_EXPORT: Final = 'export = ffi.from_buffer("char[]", buffer, require_writable={})'
_SIZEOF: Final = "size = 0 if result == NULL else ffi.sizeof(result[{}])"
_TRUNCATED: Final = '_STDLIB_TRUNCATED: Final = getattr(socket, "MSG_TRUNC", {})'
_ONE: Final = "operation.set_buffer(self._buffers[{}], self._filled, nbytes, self.flags)"
_REMEMBERED: Final = "bytes_request = lru_cache(maxsize={})(Bytes)"
_NAMES: Final = (
    '(getattr(socket, flag.name or "", {}), flag) for flag in (MsgFlag.MSG_OOB, MsgFlag.MSG_TRUNC)'
)
_CLAMP: Final = "self.room = nbytes if nbytes {} MAX_RECEIVE else MAX_RECEIVE"
_SCATTER: Final = "nbytes, _, native_flags, _ = sock.recvmsg_into(parts, {}, native)"
_IGNORED: Final = "# type: ignore[attr-defined, unused-ignore]"
_WINDOW: Final = (
    "while first < len(buffers) - {} and offset >= (size := memoryview(buffers[first]).nbytes):"
)
_ROOM: Final = "room = [] if {} else [bytes(MAX_RECEIVE_SIZE) for _ in range(_MOST_RESULTS)]"
_CONTROL: Final = "if not room {} len(self._control) <= _MOST_SPARE * room:"
_WRITTEN: Final = "if self._message.Control.len {} self._control_size:"
_NO_TEXT: Final = 'if {}text.startswith("Windows Error 0x"):'
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
    "_winsock/parse.py": {
        "how many addresses are remembered is a choice": [
            ("@lru_cache(maxsize=1024)", ""),
            ("@lru_cache(maxsize=1024)", "@lru_cache(maxsize= 1023)"),
            ("@lru_cache(maxsize=1024)", "@lru_cache(maxsize= 1025)"),
        ],
        "an address of the families in use takes 28 bytes at the most": [
            ("STORAGE_SIZE: Final = 128", "STORAGE_SIZE: Final = 127"),
            ("STORAGE_SIZE: Final = 128", "STORAGE_SIZE: Final = 129"),
        ],
        "an address of an unknown family ends after 16 bytes": [
            (
                "NO_SENDER: Final = parse_address(bytes(16))",
                "NO_SENDER: Final = parse_address(bytes( 17))",
            ),
        ],
    },
    "_winsock/calls.py": {
        "for Windows, where these tests do not run": [
            ("_, text = ffi.getwinerror(code)", "pass"),
            (_NO_TEXT.format(""), _NO_TEXT.format("not ")),
            ('text = f"Windows Error 0x{code:x}"', "pass"),
            ("return os_error(code, text)", "pass"),
        ],
    },
    "_winsock/operation.py": {
        "the status does not matter where there is no error": [
            (_FOLLOWS.format(0), _FOLLOWS.format(1)),
            (_FOLLOWS.format(0), _FOLLOWS.format(-1)),
        ],
        "it is set anew for each receive": [
            ("self.target: Any = self.small", "pass"),
            ("self.room: int = 0", "self.room: int = 1"),
            ("self.room: int = 0", "self.room: int = -1"),
            ("self.room: int = 0", "pass"),
            ("self.raise_cancel: Callable[[], NoReturn] | None = None", "pass"),
        ],
        "a buffer that cannot be written to has been refused before": [
            (_EXPORT.format(True), _EXPORT.format(False)),
        ],
        "for a Windows that leaves the count alone where a message does not fit": [
            ("self.memory.received = 0", "self.memory.received = 1"),
            ("self.memory.received = 0", "pass"),
        ],
    },
    "_winsock/datagram.py": {
        "what is smaller than asked for is made anew": [
            ("self._own: Any = None", "pass"),
            ("self._own_size = 0", "self._own_size = 1"),
            ("self._own_size = 0", "self._own_size = -1"),
        ],
        "each request sets it": [
            ("self._control_size = 0", "self._control_size = 1"),
            ("self._control_size = 0", "self._control_size = -1"),
            ("self._control_size = 0", "pass"),
        ],
        "for memory of cffi, which cannot be read behind its end; that of the simulation can": [
            (_SIZEOF.format("0"), _SIZEOF.format(" 1")),
            (_SIZEOF.format("0"), _SIZEOF.format(" -1")),
        ],
        "nobody reads what has not been received": [
            (_ALLOCATOR.format(False), _ALLOCATOR.format(True)),
        ],
        "it makes the same room anew": [
            (_CONTROL.format("<="), _CONTROL.format("<")),
        ],
        "all messages that were written are given then": [
            (_WRITTEN.format(">"), _WRITTEN.format(">=")),
        ],
    },
    "_engine/receive.py": {
        "every public call is protected from KeyboardInterrupt already, and so is what it calls": [
            ("@trio.lowlevel.enable_ki_protection", ""),
        ],
        "that is None": [("return AGAIN", "pass")],
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
                ("receiver.pushed_back.defer(calls.winsock_error", ")"),
            )
            for other in (1, -1)
        ],
        "the coroutine has nothing to do when it is closed": [("waiter.close()", "pass")],
        "None is as false": [("return False", "pass")],
    },
    "_engine/receiver.py": {
        "nobody compares receivers or hashes them": [
            ("@dataclass(eq=False, slots=True)", "@dataclass(eq=True, slots=True)"),
        ],
        "slots make it small and quick, which is a choice": [
            ("@dataclass(eq=False, slots=True)", "@dataclass(eq=False, slots=False)"),
        ],
    },
    "_engine/batch.py": {
        "every system that uses it has the name": [
            (_TRUNCATED.format(0), _TRUNCATED.format(1)),
            (_TRUNCATED.format(0), _TRUNCATED.format(-1)),
        ],
        "nothing is pushed back for a socket of datagrams": [
            ("self.room = one.room", "pass"),
            ("return [self._one.take(data)]", "pass"),
        ],
    },
    "_engine/requests.py": {
        "how much to reserve is a choice": [
            ("MAX_WAITING: Final = 16 * 1024 * 1024", f"MAX_WAITING: Final = {other}")
            for other in (
                *("15 * 1024 * 1024", "16 * 1023 * 1024", "16 * 1024 * 1023"),
                *("17 * 1024 * 1024", "16 * 1025 * 1024", "16 * 1024 * 1025"),
            )
        ],
        "how many requests are remembered is a choice": [
            (_REMEMBERED.format("256"), _REMEMBERED.format(" 255")),
            (_REMEMBERED.format("256"), _REMEMBERED.format(" 257")),
        ],
        "every request has all methods": [("@abstractmethod", "")],
        "that is None": [("return AGAIN", "pass")],
        "None is as false": [('return b""', "pass")],
        "it is compared with 1024": [
            ("self.wants = 0", "self.wants = 1"),
            ("self.wants = 0", "self.wants = -1"),
        ],
        "both are the same number then": [
            (_CLAMP.format("<"), _CLAMP.format("<=")),
        ],
    },
    "_engine/messages.py": {
        "it is compared with 1024": [
            ("self.wants = 0", "self.wants = 1"),
            ("self.wants = 0", "self.wants = -1"),
        ],
        "what has been filled is passed over in the last buffers, too": [
            (_WINDOW.format(1), _WINDOW.format(2)),
        ],
        "how many buffers a call is given is a choice, within what systems take": [
            ("_MAX_BUFFERS: Final = 1024", "_MAX_BUFFERS: Final = 1023"),
        ],
        "of one buffer it is the last, too": [(_ONE.format("0"), _ONE.format(" -1"))],
        "an array of one buffer does the same": [
            (
                "if len(self._buffers) == 1:  # which needs no array",
                "if len(self._buffers) == 0: # which needs no array",
            ),
        ],
        "every system that uses them has the names": [
            (_NAMES.format(0), _NAMES.format(1)),
            (_NAMES.format(0), _NAMES.format(-1)),
        ],
        "a function ends so": [("return None", "pass")],
        "nobody looks at the ancillary data": [
            (_SCATTER.format(0) + "  " + _IGNORED, _SCATTER.format(1) + " " + _IGNORED),
        ],
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
