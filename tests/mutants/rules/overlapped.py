"""Submitting, waiting, and acting on what the completion says."""

from __future__ import annotations

from tests.mutants.mutation import Mutation

RULES = [
    Mutation(
        "a cancelled task does not submit",
        "_overlapped",
        "        await trio.lowlevel.checkpoint_if_cancelled()\n        handle",
        "        handle",
    ),
    Mutation(
        "a receive that is refused is a checkpoint",
        "_overlapped",
        "            await trio.lowlevel.cancel_shielded_checkpoint()\n            raise",
        "            raise",
    ),
    Mutation(
        "an interrupt waits until the packet is in",
        "_overlapped",
        "@trio.lowlevel.enable_ki_protection\nasync def perform",
        "@trio.lowlevel.disable_ki_protection\nasync def perform",
    ),
    Mutation(
        "a closed socket does not reach the kernel",
        "_overlapped",
        "error = operation.submit(handle) if handle != -1 else WinsockError.WSAENOTSOCK",
        "error = operation.submit(handle)",
    ),
    Mutation(
        "who comes second learns that the kernel has a receive",
        "_overlapped",
        "        receiver.operation = operation\n",
        "",
    ),
    Mutation(
        "a receive is buried when the wait is torn down",
        "_overlapped",
        "            operation.bury()\n",
        "",
    ),
    Mutation(
        "a receive is buried when its coroutine is closed",
        "_overlapped",
        "        except BaseException:",
        "        except Exception:",
    ),
    Mutation(
        "a buried receive does not keep the socket busy",
        "_overlapped",
        "            receiver.operation = None\n",
        "",
    ),
    Mutation(
        "success closes the handle that was left to the receive",
        "_overlapped",
        "                operation.close_handle()\n            return RECEIVED",
        "                pass\n            return RECEIVED",
    ),
    Mutation(
        "however it ends, a receive closes the handle that was left to it",
        "_overlapped",
        "    if closing:\n        operation.close_handle()\n",
        "",
    ),
    Mutation(
        "the completion is judged with the closing in mind",
        "_overlapped",
        "    closing = operation.closing\n",
        "    closing = False\n",
    ),
    Mutation(
        "the completion is judged with the cancellation in mind",
        "_overlapped",
        "    cancelling = operation.raise_cancel is not None\n",
        "    cancelling = False\n",
    ),
    Mutation(
        "what a neighbour aborts is asked for again",
        "_overlapped",
        "        if verdict.outcome is not Outcome.ABORTED:\n            return verdict\n",
        "        return verdict\n",
    ),
    Mutation(
        "what a neighbour aborts learns of the closing",
        "_overlapped",
        "        if sock.fileno() == -1:\n            raise _closed()\n",
        "",
    ),
    Mutation(
        "what is asked for again minds who was faster",
        "_overlapped",
        "        receiver.check_free(mine=mine)\n",
        "",
    ),
    Mutation(
        "an error that comes with bytes is for the next receive",
        "_overlapped",
        "        receiver.defer(winsock_error(error))\n",
        "        pass\n",
    ),
    Mutation(
        "bytes that win over a cancellation are counted",
        "_overlapped",
        "        counters.received_despite_cancel += cancelling\n",
        "",
    ),
]
