"""One receive that the kernel has: its memory, its cancellation, its burial."""

from __future__ import annotations

from tests.mutants.mutation import Mutation

RULES = [
    Mutation(
        "a request to cancel is not held against the next receive",
        "_operation",
        "        self.raise_cancel = None\n        self.overlapped.Internal = 0\n",
        "        self.overlapped.Internal = 0\n",
    ),
    Mutation(
        "what the last receive left behind is not taken for this one's",
        "_operation",
        "        self.raise_cancel = None\n        self.overlapped.Internal = 0\n",
        "        self.raise_cancel = None\n",
    ),
    Mutation(
        "a receive that is refused is not in the kernel",
        "_operation",
        "        # Winsock leaves STATUS_PENDING behind.\n        self.overlapped.Internal = 0\n",
        "",
    ),
    Mutation(
        "a receive that pends is waited for",
        "_operation",
        "        if error == _IO_PENDING:\n"
        "            counters.pended += 1\n"
        "            return 0\n",
        "",
    ),
    Mutation(
        "a datagram that is cut off at once is waited for",
        "_operation",
        "        if packet_follows(error, self.status):",
        "        if packet_follows(error, 0):",
    ),
    Mutation(
        "what the kernel has done with is not cancelled",
        "_operation",
        "        if self.in_kernel:\n            _winsock.kernel32.CancelIoEx",
        "        if True:\n            _winsock.kernel32.CancelIoEx",
    ),
    Mutation(
        "the packet wakes the cancelled task, and nothing else",
        "_operation",
        "return trio.lowlevel.Abort.FAILED",
        "return trio.lowlevel.Abort.SUCCEEDED",
    ),
    Mutation(
        "the kernel is asked to give a cancelled receive up",
        "_operation",
        "        self.raise_cancel = raise_cancel\n        self.cancel()\n",
        "        self.raise_cancel = raise_cancel\n",
    ),
    Mutation(
        "that cancellation was asked for is on record",
        "_operation",
        "        self.raise_cancel = raise_cancel\n        self.cancel()\n",
        "        self.cancel()\n",
    ),
    Mutation(
        "what the kernel has is kept when the wait is torn down",
        "_operation",
        "        _graveyard.append(self)\n",
        "",
    ),
    Mutation(
        "the kernel is asked to give a buried receive up",
        "_operation",
        "        _graveyard.append(self)\n        self.cancel()\n",
        "        _graveyard.append(self)\n",
    ),
    Mutation(
        "burying a receive closes the handle that was left to it",
        "_operation",
        "        self.cancel()\n        if self.closing:\n            self.close_handle()\n",
        "        self.cancel()\n",
    ),
    Mutation(
        "a buried receive keeps its buffers",
        "_operation",
        "        if not self.buried:\n            while self._exports:",
        "        if True:\n            while self._exports:",
    ),
    Mutation(
        "a receive that is done gives its buffers back",
        "_operation",
        "                ffi.release(self._exports.pop())",
        "                break",
    ),
    Mutation(
        "a buffer is exported for as long as the kernel has it",
        "_operation",
        "        self._exports.append(export)\n        self._memory.wsabuf.buf = export + offset\n",
        "        self._memory.wsabuf.buf = export + offset\n",
    ),
    Mutation(
        "of several buffers, all are exported for as long as the kernel has them",
        "_operation",
        "            self._exports.append(export)\n            skipped",
        "            skipped",
    ),
    Mutation(
        "the kernel is asked for a gibibyte at the most",
        "_operation",
        "self._memory.wsabuf.len = self._room = min(nbytes, MAX_RECEIVE)",
        "self._memory.wsabuf.len = self._room = nbytes",
    ),
    Mutation(
        "the kernel is asked for a gibibyte at the most, in several buffers together",
        "_operation",
        "            room -= wsabuf.len\n",
        "",
    ),
    Mutation(
        "an exact receive goes on where it was",
        "_operation",
        "self._memory.wsabuf.buf = export + offset",
        "self._memory.wsabuf.buf = export",
    ),
    Mutation(
        "memory for much is given back when little is asked for",
        "_operation",
        " <= _MOST_SPARE * size:",
        ":",
    ),
]
