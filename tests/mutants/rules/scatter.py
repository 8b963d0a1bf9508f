"""Several buffers, and flags."""

from __future__ import annotations

from tests.mutants.mutation import Mutation

RULES = [
    Mutation(
        "no buffers at all are refused",
        "_scatter",
        "    if not sizes:\n        return WinsockError.WSAEINVAL\n",
        "",
    ),
    Mutation(
        "a datagram is not received into nothing",
        "_scatter",
        "    if not is_stream and not any(sizes):",
        "    if False:",
    ),
    Mutation(
        "out-of-band data is of streams",
        "_scatter",
        "    if flags & MsgFlag.MSG_OOB and not is_stream:",
        "    if False:",
    ),
    Mutation(
        "MSG_WAITALL goes with no flag that contradicts it",
        "_scatter",
        "(not is_stream or flags & _NOT_WITH_WAITALL)",
        "(not is_stream)",
    ),
    Mutation(
        "Winsock is not asked to wait for all",
        "_scatter",
        "    flags &= ~MsgFlag.MSG_WAITALL\n",
        "",
    ),
    Mutation(
        "who waits for all is alone between two receives",
        "_scatter",
        "    receiver.reserved = True\n",
        "",
    ),
    Mutation(
        "who waits for all and is cancelled leaves the bytes to the next",
        "_scatter",
        "        receiver.keep(_gather(buffers, filled))\n",
        "        pass\n",
    ),
    Mutation(
        "waiting for all ends with the stream",
        "_scatter",
        "            if filled == room or not result.nbytes:",
        "            if filled == room or (not result.nbytes and not filled):",
    ),
    Mutation(
        "buffers beyond what one call may fill get their part of a datagram",
        "_scatter",
        "        spread(whole[: result.nbytes], buffers, 0)\n",
        "        spread(whole[: result.nbytes], buffers[:MAX_BUFFERS], 0)\n",
    ),
    Mutation(
        "buffers of a receive that was refused are given back",
        "_scatter",
        "        operation.release()\n",
        "        pass\n",
    ),
]
