"""How a receive ended, in words that all three worlds have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace

import outcome
import trio

from trio_wsarecv._winsock.codes import NtStatus


@dataclass(frozen=True)
class Result:
    """How a receive ended.

    Attributes:
      ending: "received", "cut off", "cancelled", "closed", "busy", "failed" or "refused".
      data: the bytes.
      error: the Winsock error, or the Win32 error of a refusal.
      code: the Win32 code of the completion, where there was one and it can be seen.
      sender: whether the address that came along is the peer's; None where none was asked for.
    """

    ending: str
    data: bytes = b""
    error: int | None = None
    code: int | None = None
    sender: bool | None = None

    def agrees_with(self, other: Result) -> bool:
        """Compare, but for codes where only one of the two shows one."""
        if self.code is None or other.code is None:
            return replace(self, code=None) == replace(other, code=None)
        return self == other


#: What Windows makes of the statuses that occur here (``RtlNtStatusToDosError``).
WIN32: dict[int, int] = {
    NtStatus.SUCCESS: 0,
    NtStatus.BUFFER_OVERFLOW: 234,
    NtStatus.CANCELLED: 995,
    NtStatus.CONNECTION_RESET: 64,
    NtStatus.CONNECTION_ABORTED: 1236,
}


def of_outcome(ended: outcome.Outcome[object], code: int | None) -> Result:
    """Put into words how a call of the package ended."""
    if isinstance(ended, outcome.Value):
        value = ended.value
        if isinstance(value, bytes):
            return Result("received", value, code=code)
        assert isinstance(value, tuple)
        data, sender = value
        return Result("received", data, code=code, sender=sender)
    assert isinstance(ended, outcome.Error)
    error = ended.error
    if isinstance(error, trio.Cancelled):
        return Result("cancelled", code=code)
    if isinstance(error, trio.ClosedResourceError):
        return Result("closed", code=code)
    if isinstance(error, trio.BusyResourceError):
        return Result("busy")
    assert isinstance(error, OSError), error
    winsock: int = error.winerror  # type: ignore[attr-defined,unused-ignore]
    partial = getattr(error, "partial", None)
    if partial is not None:
        return Result("cut off", partial, winsock, code)
    return Result("failed", error=winsock, code=code)
