"""Receiving by either engine: what is at hand, what is there, what is exact."""

from __future__ import annotations

from tests.mutants.mutation import Mutation

RULES = [
    Mutation(
        "one task receives at a time",
        "_receive",
        'at least one unless the stream has ended."""\n    receiver.check_free()\n',
        'at least one unless the stream has ended."""\n',
    ),
    Mutation(
        "a cut datagram raises",
        "_receive",
        "    if verdict.outcome is Outcome.TRUNCATED:\n        raise truncated(data)\n",
        "",
    ),
    Mutation(
        "only a stream is offered less than was asked for",
        "_receive",
        "adaptive = receiver.is_stream and not flags",
        "adaptive = not flags",
    ),
    Mutation(
        "peeking is not overlapped",
        "_receive",
        "    if not flags & PEEK and receiver.is_overlapped(sock):",
        "    if receiver.is_overlapped(sock):",
    ),
    Mutation(
        "a task that is late does not drain what belongs to the next",
        "_receive",
        "if len(data) == post < nbytes and receiver.operation is operation:",
        "if len(data) == post < nbytes:",
    ),
    Mutation(
        "what does not fit a small buffer is drained",
        "_receive",
        "            data += _drain(sock, receiver, nbytes - post)\n",
        "            pass\n",
    ),
    Mutation(
        "an error met while draining is for the next receive",
        "_receive",
        '        receiver.defer(exc)\n        return b""',
        '        return b""',
    ),
    Mutation(
        "that there is nothing to drain is no error",
        "_receive",
        '    except BlockingIOError:\n        return b""\n    except OSError as exc:',
        "    except OSError as exc:",
    ),
    Mutation(
        "who receives exactly is alone between two receives",
        "_receive",
        "    receiver.reserved = True\n",
        "",
    ),
    Mutation(
        "an exact receive leaves the socket free",
        "_receive",
        "        receiver.reserved = False\n",
        "        pass\n",
    ),
    Mutation(
        "a cancelled exact receive leaves its bytes to the next",
        "_receive",
        "            receiver.keep(bytes(view[:filled]))\n",
        "            pass\n",
    ),
    Mutation(
        "an exact receive asks for what is missing and no more",
        "_receive",
        "await _receive_into(sock, receiver, buffer, filled, nbytes - filled, 0)",
        "await _receive_into(sock, receiver, buffer, filled, nbytes, 0)",
    ),
    Mutation(
        "a flood that an exact receive takes leaves other tasks their turn",
        "_receive",
        "    for _ in range(_MAX_AT_ONCE):\n",
        "    while True:\n",
    ),
    Mutation(
        "a cancelled task takes nothing of what is there in an exact receive",
        "_receive",
        "    await trio.lowlevel.checkpoint_if_cancelled()\n    filled = 0\n",
        "    filled = 0\n",
    ),
    Mutation(
        "an exact receive of what is there is a checkpoint",
        "_receive",
        "                    await trio.lowlevel.cancel_shielded_checkpoint()\n"
        "                    return\n",
        "                    return\n",
    ),
    Mutation(
        "a socket that was closed meanwhile is not drained",
        "_receive",
        '    if sock.fileno() == -1:\n        return b""\n    try:\n        data = sock.recv',
        "    try:\n        data = sock.recv",
    ),
    Mutation(
        "the end inside an exact receive gives what came",
        "_receive",
        "raise IncompleteReceiveError(bytes(view[:filled]), nbytes)",
        'raise IncompleteReceiveError(b"", nbytes)',
    ),
    Mutation(
        "receiving kept bytes is a checkpoint",
        "_receive",
        "    await trio.lowlevel.checkpoint()\n    receiver.check_free(mine=mine)\n",
        "    receiver.check_free(mine=mine)\n",
    ),
    Mutation(
        "who takes kept bytes minds who was faster",
        "_receive",
        "    await trio.lowlevel.checkpoint()\n    receiver.check_free(mine=mine)\n",
        "    await trio.lowlevel.checkpoint()\n",
    ),
    Mutation(
        "out-of-band data passes what was kept",
        "_receive",
        "    if flags & OOB or sock.fileno() == -1:",
        "    if sock.fileno() == -1:",
    ),
    Mutation(
        "peeking leaves the bytes that were kept",
        "_receive",
        "        if flags & PEEK:\n            return receiver.kept[:nbytes]\n",
        "",
    ),
    Mutation(
        "a deferred error is told once",
        "_receive",
        "    error, receiver.deferred_error = receiver.deferred_error, None\n",
        "    error = receiver.deferred_error\n",
    ),
    Mutation(
        "a cancelled task takes nothing of what is there",
        "_at_once",
        "    await trio.lowlevel.checkpoint_if_cancelled()\n    found = True\n",
        "    found = True\n",
    ),
    Mutation(
        "taking what is there is a checkpoint",
        "_at_once",
        "        if found:\n            await trio.lowlevel.cancel_shielded_checkpoint()\n",
        "        pass\n",
    ),
    Mutation(
        "what is there is looked for only where the last receive found some",
        "_at_once",
        "    except BlockingIOError:\n        receiver.eager = False\n",
        "    except BlockingIOError:\n",
    ),
    Mutation(
        "only what was there when it was asked for makes one look for more",
        "_receive",
        "    if adaptive:\n        receiver.eager = operation.at_once\n",
        "    if adaptive:\n        receiver.eager = True\n",
    ),
    Mutation(
        "an error met while looking is raised, for it may be told once",
        "_at_once",
        "        counters.failed += 1\n        raise\n",
        "        counters.failed += 1\n        return None\n",
    ),
    Mutation(
        "an error met in an exact receive while looking comes after the bytes",
        "_receive",
        "                receiver.defer(exc)\n                break\n",
        "                break\n",
    ),
    Mutation(
        "an exact receive takes what is there after what it has",
        "_receive",
        "            filled += received\n    return filled",
        "            filled = received\n    return filled",
    ),
]
