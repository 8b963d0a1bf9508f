"""``python -m trio_wsarecv doctor``: what this machine's Winsock can do.

It needs nothing but the package itself, so that every report of a problem can have it.
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
from . import say

_KINDS: Final = {
    "TCP over IPv4": (socket.AF_INET, socket.SOCK_STREAM),
    "TCP over IPv6": (socket.AF_INET6, socket.SOCK_STREAM),
    "UDP over IPv4": (socket.AF_INET, socket.SOCK_DGRAM),
    "UDP over IPv6": (socket.AF_INET6, socket.SOCK_DGRAM),
}
_PATIENCE: Final = 5  # seconds, for a datagram over loopback


@dataclass(frozen=True)
class Finding:
    """What was found out about one kind of socket."""

    kind: str
    #: The `Choice` that a new socket gets, in words; None if no such socket could be made.
    engine: str | None
    #: The provider; None off Windows.
    provider: Provider | None
    #: Why there is no socket; None if there is.
    error: str | None


def examine(kind: str) -> Finding:
    """Make a socket and see which engine it gets."""
    family, type_ = _KINDS[kind]
    try:
        with socket.socket(family, type_) as sock:
            receiver = receiver_of(sock)
            choose_engine(sock, receiver)
            known = sys.platform == "win32" and receiver.choice is not Choice.UNKNOWN_PROVIDER
            return Finding(kind, receiver.choice.value, provider_of(sock) if known else None, None)
    except OSError as exc:
        return Finding(kind, None, None, str(exc))


async def try_recvmsg() -> str | None:
    """Receive a datagram with room for ancillary data; return the error if that fails.

    Some filter drivers, such as AdGuard's, make ``WSARecvMsg`` fail with WSAEFAULT.
    """
    await trio.lowlevel.checkpoint()
    try:
        with from_stdlib_socket(socket.socket(type=socket.SOCK_DGRAM)) as sock:
            await sock.bind(("127.0.0.1", 0))
            await sock.sendto(b"doctor", sock.getsockname())
            with trio.fail_after(_PATIENCE):
                await sock.recvmsg(100, 100)
    except OSError as exc:
        return str(exc)
    except trio.TooSlowError:
        return f"no datagram in {_PATIENCE} s"
    return None


async def examine_all() -> tuple[list[Finding], str | None]:
    """Examine every kind of socket, each in the completion port of this run."""
    return [examine(kind) for kind in _KINDS], await try_recvmsg()


def doctor(*, as_json: bool) -> int:
    """Print the findings, the verdict first.

    Returns:
      The exit status: 1 if, on Windows, a check fails, else 0.
    """
    findings, error = trio.run(examine_all)
    off = why_off()
    problems = [f"off: {off}"] if off else []
    if sys.platform == "win32":
        kinds: dict[str | None, list[str]] = {}  # that have the same engine
        for finding in findings:
            kinds.setdefault(finding.engine, []).append(finding.kind)
        for engine, names in kinds.items():
            if engine not in {None, Choice.OVERLAPPED.value}:
                problems.append(f"{', '.join(names)}: {engine}")
    if error:
        problems.append(f"recvmsg fails, as it does with some filter drivers: {error}")
    verdict = "; ".join(problems) or "all is well: every kind of socket uses overlapped receives"
    versions = {
        "trio_wsarecv": __version__,
        "trio": trio.__version__,
        "cffi": cffi.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(),
    }
    if as_json:
        sockets = [_as_dict(finding) for finding in findings]
        report = {"verdict": verdict, "versions": versions, "sockets": sockets, "recvmsg": error}
        say(json.dumps(report, indent=2))
    else:
        known = {
            each.kind: each.error or (each.provider and each.provider.name) for each in findings
        }
        rows = {**versions, **known}.items()
        say("\n".join([verdict, *(f"{name:<15}{text}" for name, text in rows if text)]))
    return int(sys.platform == "win32" and bool(problems))


def _as_dict(finding: Finding) -> dict[str, object]:
    provider = finding.provider._asdict() if finding.provider else None
    return {**asdict(finding), "provider": provider}
