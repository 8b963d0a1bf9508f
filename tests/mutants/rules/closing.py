"""Closing, shutting down and giving away a socket."""

from __future__ import annotations

from tests.mutants.mutation import Mutation

RULES = [
    Mutation(
        "closing keeps the handle until the packet is in",
        "_receiver",
        "        if operation is None or not operation.in_kernel:\n            sock.close()",
        "        if True:\n            sock.close()",
    ),
    Mutation(
        "closing does not wait for a receive that is over",
        "_receiver",
        "        if operation is None or not operation.in_kernel:\n            sock.close()",
        "        if operation is None:\n            sock.close()",
    ),
    Mutation(
        "closing is seen at once",
        "_receiver",
        "        sock.detach()\n        operation.closing = True\n",
        "        operation.closing = True\n",
    ),
    Mutation(
        "the handle is closed in the end, and the receiver told",
        "_receiver",
        "        operation.closing = True\n",
        "",
    ),
    Mutation(
        "closing asks the kernel to give the receive up",
        "_receiver",
        "        operation.closing = True\n        operation.cancel()\n",
        "        operation.closing = True\n",
    ),
    Mutation(
        "closing tells who waits for readiness",
        "_receiver",
        "            trio.lowlevel.notify_closing(sock)\n",
        "            pass\n",
    ),
    Mutation(
        "closing gives up what was kept",
        "_receiver",
        '        self.kept = b""\n        self.deferred_error = None\n        if',
        "        if",
    ),
    Mutation(
        "leaving a `with` block closes as `close` does",
        "_socket",
        "        traceback: TracebackType | None,\n    ) -> None:\n        self.close()",
        "        traceback: TracebackType | None,\n    ) -> None:\n        self.stdlib.close()",
    ),
    Mutation(
        "shutting the receiving side down ends a receive",
        "_socket",
        "            self.receiver.cancel()\n",
        "            pass\n",
    ),
    Mutation(
        "shutting the sending side down leaves a receive alone",
        "_socket",
        "        if flag != socket.SHUT_WR:\n",
        "        if True:\n",
    ),
    Mutation(
        "the handle is not given away while the kernel has a receive",
        "_socket",
        "        self.receiver.check_free()\n        return super().detach()",
        "        return super().detach()",
    ),
    Mutation(
        "a stream over a closed socket is closed",
        "_stream",
        "frozenset({errno.EBADF, errno.ENOTSOCK})",
        "frozenset({errno.EBADF})",
    ),
]
