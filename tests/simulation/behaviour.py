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

from trio_wsarecv._winsock.codes import NtStatus

#: How Wine ends an operation whose handle is closed: STATUS_HANDLES_CLOSED.  Windows never does.
WINE_HANDLES_CLOSED: Final = 0x8000000A


class CancelAnswer(enum.Enum):
    """What ``CancelIoEx`` does to a receive that the kernel has."""

    ABORTED = "it returns TRUE; the receive ends with STATUS_CANCELLED and no bytes"
    ABORTED_WITH_BYTES = "it returns TRUE; STATUS_CANCELLED, with the bytes that had arrived"
    COMPLETES = "it returns TRUE; the receive completes as if it had not been cancelled"
    NOT_FOUND = "it returns FALSE, ERROR_NOT_FOUND; the receive was about to complete"


class IosbWrite(enum.Enum):
    """When ``Internal`` and ``InternalHigh`` of an operation that pended are written."""

    AT_DEQUEUE = "when its packet is dequeued, if it has a port and no event"
    AT_COMPLETION = "when it completes"


class InlineIosb(enum.Enum):
    """What ``Internal`` and ``InternalHigh`` hold when an operation has completed inline."""

    WRITTEN = "the result"
    LEFT_PENDING = "STATUS_PENDING; its packet, if it has one, brings the result"


class FlagsOut(enum.Enum):
    """What a call writes to ``lpFlags``, which is documented as in and out."""

    LEFT = "nothing"
    ON_SUCCESS = "a call that succeeds inline writes the flags of what it received"
    ZEROED = "as ON_SUCCESS; a call that pends or fails writes 0"


class TooLong(enum.Enum):
    """What a call reports if the waiting datagram does not fit."""

    PENDS = "WSA_IO_PENDING; the packet brings STATUS_BUFFER_OVERFLOW"
    INLINE = "WSAEMSGSIZE, and a packet follows, except in skip mode"


class ShortControl(enum.Enum):
    """How a ``WSARecvMsg`` ends whose control buffer is too small for the control messages."""

    OVERFLOW = "STATUS_BUFFER_OVERFLOW with the whole datagram, and MSG_CTRUNC"
    SUCCESS = "success, and MSG_CTRUNC"


class WaitAll(enum.Enum):
    """What ``MSG_WAITALL`` means to an overlapped receive of a non-blocking socket."""

    IGNORED = "nothing"
    WAITS = "the receive waits until its buffers are full"
    REFUSED = "WSAEOPNOTSUPP, as documented"


class Partial(enum.Enum):
    """What ``MSG_PARTIAL`` in the flags of a call means on TCP and UDP."""

    IGNORED = "nothing"
    REFUSED = "WSAEOPNOTSUPP, as documented for what is not message-oriented"


class NoUrgent(enum.Enum):
    """What ``MSG_OOB`` does where no urgent byte has arrived."""

    WAITS = "it waits for one"
    REFUSED = "WSAEINVAL"


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
    iosb: IosbWrite = IosbWrite.AT_DEQUEUE
    inline_iosb: InlineIosb = InlineIosb.WRITTEN
    #: What a call that fails leaves in OVERLAPPED.Internal; None: what was there before.
    left_by_failure: NtStatus | None = NtStatus.PENDING
    flags_out: FlagsOut = FlagsOut.LEFT
    #: SetFileCompletionNotificationModes succeeds.
    skip_mode: bool = True
    too_long: TooLong = TooLong.PENDS
    short_control: ShortControl = ShortControl.OVERFLOW
    #: WSARecvMsg and WSASendMsg fail with WSAEFAULT, as with some filter drivers.
    message_faults: bool = False
    #: The status of an urgent byte received with MSG_OOB.
    urgent_status: NtStatus = NtStatus.SUCCESS
    no_urgent: NoUrgent = NoUrgent.WAITS
    wait_all: WaitAll = WaitAll.IGNORED
    partial: Partial = Partial.IGNORED
    #: A datagram socket accepts one more receive after shutdown(SD_BOTH).
    late_udp_shutdown: bool = False
    #: The status of a receive whose socket is closed; None: as on Windows.
    closed: int | None = None
    #: Closing a connection during a receive resets it.
    closing_resets: bool = True

    #: `inline_iosb` for a message that does not fit.  It is never drawn: without the result,
    #: nobody could tell whether a packet follows.
    overflow_iosb: InlineIosb = InlineIosb.WRITTEN
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
