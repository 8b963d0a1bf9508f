"""``python -m trio_wsarecv doctor``: what this machine's Winsock can do.

It needs nothing but the package itself, so every report of a problem can include it.
"""

from __future__ import annotations

import json
import platform
import socket
import sys
from dataclasses import asdict, dataclass
from typing import Final

import cffi
import trio

from .._engine.choice import Choice
from .._engine.choose import choose_engine
from .._engine.receiver import receiver_of
from .._install import why_off
from .._socket import from_stdlib_socket
from .._version import __version__
from .._winsock.provider import Provider, provider_of
from . import reason_of, say

_KINDS: Final = {
    "TCP over IPv4": (socket.AF_INET, socket.SOCK_STREAM),
    "TCP over IPv6": (socket.AF_INET6, socket.SOCK_STREAM),
    "UDP over IPv4": (socket.AF_INET, socket.SOCK_DGRAM),
    "UDP over IPv6": (socket.AF_INET6, socket.SOCK_DGRAM),
}
_PATIENCE: Final = 5  # seconds, for a datagram over loopback


@dataclass(frozen=True)
class Finding:
    """The result of examining one kind of socket."""

    kind: str
    #: Whether it is received on overlapped; None if no such socket could be made.
    overlapped: bool | None = None
    #: The `Choice` that a new socket gets, in words; None if there is no socket.
    engine: str | None = None
    #: The provider; None off Windows.
    provider: Provider | None = None
    #: The default of SO_RCVBUF, in bytes; None if there is no socket.
    receive_buffer: int | None = None
    #: Why there is no socket; None if there is.
    error: str | None = None


@dataclass(frozen=True)
class Check:
    """The result of a check."""

    #: None if it could not be made.
    ok: bool | None
    #: Why it failed or could not be made; None if it succeeded.
    error: str | None = None


def examine(kind: str) -> Finding:
    """Make a socket and see which engine it gets."""
    family, type_ = _KINDS[kind]
    try:
        with socket.socket(family, type_) as sock:
            receiver = receiver_of(sock)
            choose_engine(sock, receiver)
            choice = receiver.choice
            known = sys.platform == "win32" and choice is not Choice.UNKNOWN_PROVIDER
            return Finding(
                kind,
                overlapped=choice is Choice.OVERLAPPED,
                engine=choice.value,
                provider=provider_of(sock) if known else None,
                receive_buffer=sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF),
            )
    except OSError as exc:
        return Finding(kind, error=reason_of(exc))


async def try_recvmsg() -> Check:
    """Receive a datagram with room for ancillary data.

    Some filter drivers, such as AdGuard's, make ``WSARecvMsg`` fail with WSAEFAULT.
    """
    await trio.lowlevel.checkpoint()
    try:
        plain = socket.socket(type=socket.SOCK_DGRAM)
    except OSError as exc:
        return Check(None, reason_of(exc))
    with from_stdlib_socket(plain) as sock:
        try:
            await sock.bind(("127.0.0.1", 0))
            await sock.sendto(b"doctor", sock.getsockname())
        except OSError as exc:
            return Check(None, reason_of(exc))
        try:
            with trio.fail_after(_PATIENCE):
                await sock.recvmsg(100, 100)
        except OSError as exc:
            return Check(False, reason_of(exc))
        except trio.TooSlowError:
            return Check(False, f"no datagram in {_PATIENCE} s")
    return Check(True)


async def examine_all() -> tuple[list[Finding], Check]:
    """Examine every kind of socket, each in the completion port of this run."""
    return [examine(kind) for kind in _KINDS], await try_recvmsg()


def problems_in(findings: list[Finding], recvmsg: Check) -> list[str]:
    """Return why receives are not overlapped, and which checks failed."""
    problems = [f"off: {off}"] if (off := why_off()) else []
    if sys.platform == "win32":
        kinds: dict[str | None, list[str]] = {}  # those with the same engine
        for finding in findings:
            if finding.overlapped is False:
                kinds.setdefault(finding.engine, []).append(finding.kind)
        problems += [f"{', '.join(names)}: {engine}" for engine, names in kinds.items()]
    if recvmsg.ok is False:
        problems.append(f"recvmsg fails, as it does with some filter drivers: {recvmsg.error}")
    return problems


def verdict_of(problems: list[str], findings: list[Finding], recvmsg: Check) -> str:
    """Return all findings in one line."""
    missing = [each.kind for each in findings if each.overlapped is None]
    missing += ["recvmsg"] if recvmsg.ok is None else []
    well = "" if problems else "all is well: every kind of socket uses overlapped receives"
    unknown = f"not checked: {', '.join(missing)}" if missing else ""
    return "; ".join(filter(None, [*problems, well, unknown]))


def versions() -> dict[str, str]:
    """Return the versions of the package, its dependencies, Python and the system."""
    return {
        "trio_wsarecv": __version__,
        "trio": trio.__version__,
        "cffi": cffi.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(),
    }


def doctor(*, as_json: bool) -> int:
    """Print the findings, the verdict first.

    Returns:
      The exit status: 1 if, on Windows, a check fails, else 0.
    """
    findings, recvmsg = trio.run(examine_all)
    problems = problems_in(findings, recvmsg)
    failed = sys.platform == "win32" and bool(problems)
    verdict = verdict_of(problems, findings, recvmsg)
    if as_json:
        report = {
            "ok": not failed,
            "verdict": verdict,
            "versions": versions(),
            "sockets": [_as_dict(each) for each in findings],
            "recvmsg": asdict(recvmsg),
        }
        say(json.dumps(report, indent=2))
    else:
        rows = {**versions(), **{each.kind: _in_words(each) for each in findings}}
        if recvmsg.ok is None:
            rows["recvmsg"] = f"not checked: {recvmsg.error}"
        say("\n".join([verdict, *(f"{name:<15}{text}" for name, text in rows.items())]))
    return int(failed)


def _as_dict(finding: Finding) -> dict[str, object]:
    provider = finding.provider._asdict() if finding.provider else None
    return {**asdict(finding), "provider": provider}


def _in_words(finding: Finding) -> str:
    if finding.error:
        return f"not checked: {finding.error}"
    parts = [f"SO_RCVBUF {finding.receive_buffer} bytes"]
    return ", ".join([finding.provider.name, *parts] if finding.provider else parts)
