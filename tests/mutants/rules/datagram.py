"""Datagrams: senders, ancillary data, cut-offs."""

from __future__ import annotations

from tests.mutants.mutation import Mutation

RULES = [
    Mutation(
        "there is room for the sender's address whenever one is received",
        "_datagram",
        "        self._length[0] = STORAGE_SIZE\n        return super().submit(handle)",
        "        return super().submit(handle)",
    ),
    Mutation(
        "there is room for the sender's address whenever a message is received",
        "_datagram",
        "        message.namelen = STORAGE_SIZE\n",
        "        message.namelen = message.namelen or 0\n",
    ),
    Mutation(
        "there is room for control data whenever a message is received",
        "_datagram",
        "        message.Control.len = self._control_size\n",
        "        message.Control.len = message.Control.len or 0\n",
    ),
    Mutation(
        "the address is as long as the system says",
        "_datagram",
        "parse_address(ffi.unpack(self._name, self._length[0]))",
        "parse_address(ffi.unpack(self._name, STORAGE_SIZE))",
    ),
    Mutation(
        "a cut datagram has MSG_TRUNC",
        "_messages",
        "        out |= MsgFlag.MSG_TRUNC\n",
        "        pass\n",
    ),
    Mutation(
        "cut control data is no cut datagram",
        "_messages",
        "Outcome.TRUNCATED and not out & MsgFlag.MSG_CTRUNC:",
        "Outcome.TRUNCATED:",
    ),
    Mutation(
        "a cut datagram raises where no flags are returned",
        "_messages",
        "    if verdict.outcome is Outcome.TRUNCATED:\n        raise truncated(data)\n",
        "",
    ),
]
