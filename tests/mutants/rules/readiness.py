"""The readiness engine."""

from __future__ import annotations

from tests.mutants.mutation import Mutation

RULES = [
    Mutation(
        "a cancelled task does not receive",
        "_readiness",
        "    await trio.lowlevel.checkpoint_if_cancelled()\n",
        "",
    ),
    Mutation(
        "a receive that succeeds at once is a checkpoint",
        "_readiness",
        "        await trio.lowlevel.cancel_shielded_checkpoint()\n",
        "",
    ),
    Mutation(
        "a receive for which others were faster waits again",
        "_readiness",
        "        while _must_wait(result):",
        "        if _must_wait(result):",
    ),
    Mutation(
        "a cancelled receive is counted",
        "_readiness",
        "        counters.cancelled += 1\n",
        "",
    ),
]
