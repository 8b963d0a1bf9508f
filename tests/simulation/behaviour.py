"""What the model does where Windows may do one thing or another."""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trio_wsarecv._codes import NtStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeVar

    T = TypeVar("T")


class CancelAnswer(enum.Enum):
    """What comes of ``CancelIoEx`` on a receive that the kernel has."""

    ABORTED = "it returns TRUE; the receive ends with STATUS_CANCELLED and nothing"
    ABORTED_WITH_BYTES = "it returns TRUE; STATUS_CANCELLED, with the bytes that had arrived"
    COMPLETES = "it returns TRUE; the receive ends as if nobody had cancelled it"
    NOT_FOUND = "it returns FALSE, ERROR_NOT_FOUND; the receive was just about to end"


@dataclass
class Behaviour:
    """The model's free choices; a test sets them, or a seed makes them anew each time."""

    #: The kernel acts at once on what arrives and on what is cancelled, not only when settled.
    prompt: bool = True
    #: What comes of CancelIoEx.  All but ABORTED need something to have arrived.
    cancel: CancelAnswer = CancelAnswer.ABORTED
    #: A receive that ends at once is reported as WSA_IO_PENDING all the same.
    always_pends: bool = False
    #: What a call that fails at once leaves in OVERLAPPED.Internal; None: what was there.
    left_by_failure: NtStatus | None = NtStatus.PENDING
    #: How a receive ends whose socket loses its last handle; None: as on Windows.
    closed: NtStatus | None = None
    #: Makes the choices above whenever one is due.
    seed: int | None = None

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def _choose(self, options: Sequence[T], told: T) -> T:
        return told if self.seed is None else self._random.choice(options)

    def acts_now(self) -> bool:
        return self._choose((True, False), self.prompt)

    def cancel_answer(self) -> CancelAnswer:
        return self._choose(tuple(CancelAnswer), self.cancel)

    def reports_pending(self) -> bool:
        return self._choose((True, False), self.always_pends)

    def internal_after_failure(self) -> NtStatus | None:
        return self._choose((NtStatus.PENDING, None), self.left_by_failure)

    def closed_status(self, *, is_stream: bool) -> NtStatus:
        if self.closed is not None:
            return self.closed
        return NtStatus.CONNECTION_ABORTED if is_stream else NtStatus.CANCELLED
