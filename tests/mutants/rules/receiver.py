"""What is known of one socket: who is busy, what is kept, how much is posted."""

from __future__ import annotations

from tests.mutants.mutation import Mutation

RULES = [
    Mutation(
        "an exact receive keeps others out",
        "_receiver",
        "if (self.reserved and not mine) or (",
        "if (",
    ),
    Mutation(
        "an exact receive does not keep itself out",
        "_receiver",
        "if (self.reserved and not mine) or (",
        "if self.reserved or (",
    ),
    Mutation(
        "a receive in the kernel keeps others out",
        "_receiver",
        "(operation and operation.overlapped.Internal == PENDING)",
        "(operation and False)",
    ),
    Mutation(
        "nobody is busy once the kernel is done",
        "_receiver",
        "(operation and operation.overlapped.Internal == PENDING)",
        "(operation and self._spare is not operation)",
    ),
    Mutation(
        "a buried operation is never used again",
        "_receiver",
        "        if not operation.buried:\n",
        "        if True:\n",
    ),
    Mutation(
        "an operation serves one receive at a time",
        "_receiver",
        "operation, self._spare = self._spare or Operation(), None",
        "operation = self._spare = self._spare or Operation()",
    ),
    Mutation(
        "an error that waits keeps nothing alive",
        "_receiver",
        "self.deferred_error = error.with_traceback(None)",
        "self.deferred_error = error",
    ),
    Mutation(
        "a connection that becomes quiet posts little again",
        "_receiver",
        "self.post = min(max(wanted, SMALLEST_POST), LARGEST_POST)",
        "self.post = min(max(wanted, self.post), LARGEST_POST)",
    ),
    Mutation(
        "what is posted has a limit",
        "_receiver",
        "self.post = min(max(wanted, SMALLEST_POST), LARGEST_POST)",
        "self.post = max(wanted, SMALLEST_POST)",
    ),
    Mutation(
        "each run has its own completion port",
        "_receiver",
        "        if run is None or run is not self._run:",
        "        if run is None or self._run is None:",
    ),
    Mutation(
        "wrappers of one socket share what is known of it",
        "_receiver",
        "        receiver = _receivers[sock] = Receiver(sock)",
        "        receiver = Receiver(sock)",
    ),
]
