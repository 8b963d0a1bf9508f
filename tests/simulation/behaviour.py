"""What Windows may do one way or another: every such choice by name.

The default of each is what tests on real Windows assert, or else what seems most likely.  The other
values are what another version, another provider or Wine does, or what no source rules out.  A
program must work with all of them.
"""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from trio_wsarecv._winsock.codes import NtStatus

#: How Wine ends an operation whose handle is closed: STATUS_HANDLES_CLOSED.  Windows never does.
WINE_HANDLES_CLOSED: Final = 0x8000000A


class CancelAnswer(enum.Enum):
    """What ``CancelIoEx`` does to a receive that the kernel has."""

    ABORTED = "it returns TRUE; the receive ends with STATUS_CANCELLED and no bytes"
    ABORTED_WITH_BYTES = "it returns TRUE; STATUS_CANCELLED, with the bytes that had arrived"
    COMPLETES = "it returns TRUE; the receive completes as if it had not been cancelled"
    NOT_FOUND = "it returns FALSE, ERROR_NOT_FOUND; the receive was about to complete"


class FlagsOut(enum.Enum):
    """What a call writes to ``lpFlags``, which is documented as in and out."""

    LEFT = "nothing"
    ON_SUCCESS = "a call that succeeds inline writes the flags of what it received"
    ZEROED = "as ON_SUCCESS; a call that pends or fails writes 0"


class WaitAll(enum.Enum):
    """What ``MSG_WAITALL`` means to an overlapped receive of a non-blocking socket."""

    IGNORED = "nothing"
    WAITS = "the receive waits until its buffers are full"
    REFUSED = "WSAEOPNOTSUPP, as documented"


@dataclass
class Behaviour:
    """The choices, made by a test, or drawn with a seed each time one is needed."""

    #: The kernel acts at once on what arrives and on cancellations, not only when settled.
    prompt: bool = True
    #: All but ABORTED need something to have arrived.
    cancel: CancelAnswer = CancelAnswer.ABORTED
    #: Cancelling one receive of a connection cancels all of them.
    cancels_neighbours: bool = True
    #: A receive that could complete inline is reported as WSA_IO_PENDING.
    always_pends: bool = False
    #: ``Internal`` and ``InternalHigh`` of an operation that pended, and that has a port and no
    #: event, are written when its packet is dequeued, not when it completes.
    late_iosb: bool = True
    #: They hold the result of an operation that has completed inline.  Otherwise ``Internal`` is
    #: STATUS_PENDING, and the packet, if there is one, brings the result.
    inline_iosb: bool = True
    #: What a call that fails leaves in ``Internal``; None: what was there before.
    left_by_failure: NtStatus | None = NtStatus.PENDING
    flags_out: FlagsOut = FlagsOut.LEFT
    #: SetFileCompletionNotificationModes succeeds.
    skip_mode: bool = True
    #: If the waiting datagram does not fit, the call is reported as WSA_IO_PENDING.  Otherwise it
    #: fails with WSAEMSGSIZE, and a packet follows, except in skip mode.
    too_long_pends: bool = True
    #: A ``WSARecvMsg`` whose control buffer is too small for the control messages ends with
    #: STATUS_BUFFER_OVERFLOW, not with success; in both cases with MSG_CTRUNC and the datagram.
    short_control_overflows: bool = True
    #: WSARecvMsg and WSASendMsg fail with WSAEFAULT, as with some filter drivers.
    message_faults: bool = False
    #: The status of an urgent byte received with MSG_OOB.
    urgent_status: NtStatus = NtStatus.SUCCESS
    #: MSG_OOB is refused with WSAEINVAL where no urgent byte has arrived; otherwise it waits.
    refuses_early_oob: bool = False
    wait_all: WaitAll = WaitAll.IGNORED
    #: MSG_PARTIAL is refused with WSAEOPNOTSUPP, as documented; otherwise it means nothing.
    refuses_partial: bool = False
    #: A datagram socket accepts one more receive after shutdown(SD_BOTH).
    late_udp_shutdown: bool = False
    #: The status of a receive whose socket is closed; None: as on Windows.
    closed: int | None = None
    #: Closing a connection during a receive resets it.
    closing_resets: bool = True

    #: `inline_iosb` for a message that does not fit.  It is never drawn: without the result,
    #: nobody could tell whether a packet follows.
    overflow_iosb: bool = True
    #: Draws all other choices each time one is needed.
    seed: int | None = None

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def drawn(self) -> Behaviour:
        """Return the choices, drawn if there is a seed."""
        if self.seed is None:
            return self
        draw = self._random.choice
        choices = {name: draw(options) for name, options in OPTIONS.items()}
        return replace(self, seed=None, **choices)


def _options(default: Any) -> tuple[Any, ...]:
    return tuple(type(default)) if isinstance(default, enum.Enum) else (default, not default)


#: The values of each choice, by its name.
OPTIONS: Final[dict[str, tuple[Any, ...]]] = {
    **{
        field.name: _options(field.default)
        for field in fields(Behaviour)
        if field.name not in ("overflow_iosb", "seed")
    },
    "left_by_failure": (NtStatus.PENDING, None),
    "urgent_status": (NtStatus.SUCCESS, NtStatus.RECEIVE_EXPEDITED),
    "closed": (None, NtStatus.LOCAL_DISCONNECT, NtStatus.CANCELLED, WINE_HANDLES_CLOSED),
}


def behaviours() -> SearchStrategy[Behaviour]:
    """Have Hypothesis draw any combination of the choices, or a seed that draws them."""
    drawn = {name: st.sampled_from(options) for name, options in OPTIONS.items()}
    return st.builds(Behaviour, **drawn) | st.builds(Behaviour, seed=st.integers(0, 1 << 16))
