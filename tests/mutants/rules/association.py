"""Which engine a socket gets."""

from __future__ import annotations

from tests.mutants.mutation import Mutation

RULES = [
    Mutation(
        "a provider without IFS handles is served by readiness",
        "_association",
        "    if not provider_of(sock).has_ifs_handles:\n        return Engine.NO_IFS_HANDLES\n",
        "",
    ),
    Mutation(
        "a socket with another port is served by readiness",
        "_association",
        "        return Engine.FOREIGN_PORT\n",
        "        return Engine.OVERLAPPED\n",
    ),
    Mutation(
        "any other failure to associate is an error",
        "_association",
        '        if getattr(exc, "winerror", None) != ERROR_INVALID_PARAMETER:\n'
        "            raise\n",
        "",
    ),
]
