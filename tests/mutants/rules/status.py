"""What an outcome means: the tables, the verdict, and whether a packet follows."""

from __future__ import annotations

from tests.mutants.mutation import Mutation

RULES = [
    Mutation(
        "a datagram that is cut off at once is waited for",
        "_status",
        "return error == _E.WSAEMSGSIZE and status == _S.BUFFER_OVERFLOW",
        "return False",
    ),
    Mutation(
        "a refusal with WSAEMSGSIZE is not waited for",
        "_status",
        "return error == _E.WSAEMSGSIZE and status == _S.BUFFER_OVERFLOW",
        "return error == _E.WSAEMSGSIZE",
    ),
    Mutation(
        "a receive that pends is waited for",
        "_status",
        "if error in (0, _E.WSA_IO_PENDING):",
        "if error == 0:",
    ),
    Mutation(
        "an informational status is success",
        "_status",
        "if status >> 30 < 2:",
        "if status >> 30 < 1:",
    ),
    Mutation(
        "a datagram that is cut off is kept when cancelled",
        "_status",
        "if status == _S.BUFFER_OVERFLOW:",
        "if status == _S.BUFFER_OVERFLOW and not cancelling:",
    ),
    Mutation(
        "bytes that come with an abort are received when cancelled",
        "_status",
        "        if nbytes:\n            return RECEIVED\n",
        "        if nbytes and not cancelling:\n            return RECEIVED\n",
    ),
    Mutation(
        "bytes that come with an abort are received when closed",
        "_status",
        "        if nbytes:\n            return RECEIVED\n",
        "        if nbytes and not closing:\n            return RECEIVED\n",
    ),
    Mutation(
        "who closes is told that before being cancelled",
        "_status",
        "        if closing:\n            return Verdict(Outcome.CLOSED)\n        if cancelling:",
        "        if closing and not cancelling:\n"
        "            return Verdict(Outcome.CLOSED)\n"
        "        if cancelling:",
    ),
    Mutation(
        "an abort that nobody asked for is no cancellation",
        "_status",
        "return Verdict(Outcome.ABORTED)",
        "return Verdict(Outcome.CANCELLED)",
    ),
    Mutation(
        "bytes that come with an error come first",
        "_status",
        "return Verdict(Outcome.RECEIVED_THEN_FAILED, error_of_status(status))",
        "return Verdict(Outcome.FAILED, error_of_status(status))",
    ),
    Mutation(
        "an error while closing is the closing",
        "_status",
        "    if closing:\n"
        "        return Verdict(Outcome.CLOSED)\n"
        "    return Verdict(Outcome.FAILED",
        "    return Verdict(Outcome.FAILED",
    ),
    Mutation(
        "an error is not a cancellation, even if one was asked for",
        "_status",
        "    if closing:\n"
        "        return Verdict(Outcome.CLOSED)\n"
        "    return Verdict(Outcome.FAILED",
        "    if closing or cancelling:\n"
        "        return Verdict(Outcome.CLOSED)\n"
        "    return Verdict(Outcome.FAILED",
    ),
    Mutation(
        "a reset by the peer is WSAECONNRESET",
        "_status",
        "_S.CONNECTION_RESET: _E.WSAECONNRESET",
        "_S.CONNECTION_RESET: _E.WSAECONNABORTED",
    ),
    Mutation(
        "a disconnection from here is WSAECONNABORTED",
        "_status",
        "_S.LOCAL_DISCONNECT: _E.WSAECONNABORTED",
        "_S.LOCAL_DISCONNECT: _E.WSAECONNRESET",
    ),
    Mutation(
        "an unreachable port is WSAECONNRESET",
        "_status",
        "_S.PORT_UNREACHABLE: _E.WSAECONNRESET",
        "_S.PORT_UNREACHABLE: _E.WSAECONNREFUSED",
    ),
    Mutation(
        "STATUS_HANDLES_CLOSED is an abort",
        "_status",
        "frozenset({_S.CANCELLED, _S.REQUEST_ABORTED, _S.HANDLES_CLOSED})",
        "frozenset({_S.CANCELLED, _S.REQUEST_ABORTED})",
    ),
    Mutation(
        "an expedited receive is out of band",
        "_status",
        "_S.RECEIVE_EXPEDITED: MsgFlag.MSG_OOB",
        "_S.RECEIVE_EXPEDITED: MsgFlag.MSG_PARTIAL",
    ),
    Mutation(
        "a status may be a Win32 error in disguise",
        "_status",
        "frozenset({0x8007, 0xC007})",
        "frozenset({0x8007})",
    ),
]
