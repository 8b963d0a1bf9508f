"""What Windows may do one way or another: every such choice by name.

The default of each is what tests on real Windows assert; where none does, what seems most likely.
The other members are what another version, another provider or Wine does, or what no source rules
out.  A program must get along with all of them.
"""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass, replace
from typing import Any, Final

from trio_wsarecv._winsock.codes import NtStatus

#: How Wine ends an operation whose handle is closed: STATUS_HANDLES_CLOSED.  Windows never does.
WINE_HANDLES_CLOSED: Final = 0x8000000A


class CancelAnswer(enum.Enum):
    """What ``CancelIoEx`` does to a receive that the kernel has."""

    ABORTED = "it returns TRUE; the receive ends with STATUS_CANCELLED and nothing"
    ABORTED_WITH_BYTES = "it returns TRUE; STATUS_CANCELLED, with the bytes that had arrived"
    COMPLETES = "it returns TRUE; the receive ends as if nobody had cancelled it"
    NOT_FOUND = "it returns FALSE, ERROR_NOT_FOUND; the receive was just about to end"


class IosbWrite(enum.Enum):
    """When ``Internal`` and ``InternalHigh`` of an operation that pended are written."""

    AT_DEQUEUE = "when its packet is dequeued, if it has a port and no event"
    AT_COMPLETION = "when it completes"


class InlineIosb(enum.Enum):
    """What an operation that completed inline has in ``Internal`` and ``InternalHigh``."""

    WRITTEN = "the result"
    LEFT_PENDING = "STATUS_PENDING; its packet, if it has one, brings the result"


class FlagsOut(enum.Enum):
    """What a call writes to ``lpFlags``, which is documented as in and out."""

    LEFT = "nothing"
    ON_SUCCESS = "a call that succeeds inline writes the flags of what it received"
    ZEROED = "every call writes them, 0 if it has nothing to tell; one that pends or fails too"


class TooLong(enum.Enum):
    """How a waiting datagram is reported that does not fit."""

    PENDS = "WSA_IO_PENDING; the packet brings STATUS_BUFFER_OVERFLOW"
    INLINE = "WSAEMSGSIZE, and a packet all the same, but for skip mode"


class ShortControl(enum.Enum):
    """How a ``WSARecvMsg`` ends whose control buffer is too small for the control messages."""

    OVERFLOW = "STATUS_BUFFER_OVERFLOW with the whole datagram, and MSG_CTRUNC"
    SUCCESS = "success, and MSG_CTRUNC"


class WaitAll(enum.Enum):
    """What ``MSG_WAITALL`` means on a non-blocking socket; on a blocking one it waits.

    A call without an ``OVERLAPPED`` cannot wait there, whatever the flag means.
    """

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
    """The model's choices, made by a test, or anew by a seed whenever one is due."""

    #: The kernel acts at once on what arrives and on what is cancelled, not only when settled.
    prompt: bool = True
    #: All but ABORTED need something to have arrived.
    cancel: CancelAnswer = CancelAnswer.ABORTED
    #: Cancelling one receive of a connection gives up all of them.
    cancels_neighbours: bool = True
    #: A receive that could complete inline is reported as WSA_IO_PENDING all the same.
    always_pends: bool = False
    iosb: IosbWrite = IosbWrite.AT_DEQUEUE
    inline_iosb: InlineIosb = InlineIosb.WRITTEN
    #: What a call that fails leaves in OVERLAPPED.Internal; None: what was there.
    left_by_failure: NtStatus | None = NtStatus.PENDING
    flags_out: FlagsOut = FlagsOut.LEFT
    #: SetFileCompletionNotificationModes does what it is asked for.
    skip_mode: bool = True
    too_long: TooLong = TooLong.PENDS
    short_control: ShortControl = ShortControl.OVERFLOW
    #: WSARecvMsg fails with WSAEFAULT, as some filter drivers make it.
    message_faults: bool = False
    #: The status of an urgent byte received with MSG_OOB.
    urgent_status: NtStatus = NtStatus.SUCCESS
    no_urgent: NoUrgent = NoUrgent.WAITS
    wait_all: WaitAll = WaitAll.IGNORED
    partial: Partial = Partial.IGNORED
    #: One more receive of a datagram socket is accepted after shutdown(SD_BOTH), and waits.
    late_udp_shutdown: bool = False
    #: How a receive ends whose socket loses its last handle; None: as on Windows.
    closed: int | None = None
    #: Closing a connection on a pending receive resets it.
    closing_resets: bool = True

    #: The same as `inline_iosb` for a message that does not fit, reported inline.  It is never
    #: drawn: if the result were left out, nobody could tell whether a packet follows.
    overflow_iosb: InlineIosb = InlineIosb.WRITTEN
    #: Makes the choices above whenever one is due.
    seed: int | None = None

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def drawn(self) -> Behaviour:
        """Return the choices as they are at this moment."""
        if self.seed is None:
            return self
        draw = self._random.choice
        choices = {name: draw(options) for name, options in OPTIONS.items()}
        return replace(self, seed=None, **choices)


#: What there is to choose from, by the name of the choice.
OPTIONS: Final[dict[str, tuple[Any, ...]]] = {
    "prompt": (True, False),
    "cancel": tuple(CancelAnswer),
    "cancels_neighbours": (True, False),
    "always_pends": (False, True),
    "iosb": tuple(IosbWrite),
    "inline_iosb": tuple(InlineIosb),
    "left_by_failure": (NtStatus.PENDING, None),
    "flags_out": tuple(FlagsOut),
    "skip_mode": (True, False),
    "too_long": tuple(TooLong),
    "short_control": tuple(ShortControl),
    "message_faults": (False, True),
    "urgent_status": (NtStatus.SUCCESS, NtStatus.RECEIVE_EXPEDITED),
    "no_urgent": tuple(NoUrgent),
    "wait_all": tuple(WaitAll),
    "partial": tuple(Partial),
    "late_udp_shutdown": (False, True),
    "closed": (None, NtStatus.LOCAL_DISCONNECT, NtStatus.CANCELLED, WINE_HANDLES_CLOSED),
    "closing_resets": (True, False),
}
