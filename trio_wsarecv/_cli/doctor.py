"""``python -m trio_wsarecv doctor``: what this machine's Winsock can do."""

from __future__ import annotations

import json
import platform
import socket
import sys
from dataclasses import asdict, dataclass
from typing import Final

import cffi
import click
import rich.console
import rich.table
import trio

from .._engine.choose import Choice, choose_engine
from .._engine.receiver import receiver_of
from .._version import __version__
from .._winsock.provider import Provider, provider_of

_KINDS: Final = {
    "TCP over IPv4": (socket.AF_INET, socket.SOCK_STREAM),
    "TCP over IPv6": (socket.AF_INET6, socket.SOCK_STREAM),
    "UDP over IPv4": (socket.AF_INET, socket.SOCK_DGRAM),
    "UDP over IPv6": (socket.AF_INET6, socket.SOCK_DGRAM),
}


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
            provider = provider_of(sock) if sys.platform == "win32" else None
            return Finding(kind, choose_engine(sock, receiver_of(sock)).value, provider, None)
    except OSError as exc:
        return Finding(kind, None, None, str(exc))


async def examine_all() -> list[Finding]:
    """Examine every kind of socket, each in the completion port of this run."""
    await trio.lowlevel.checkpoint()
    return [examine(kind) for kind in _KINDS]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(as_json: bool) -> None:
    """Say which engine receives on each kind of socket here, and why.

    Exit status: 0 if all of them can be received on as well as this system allows, 1 if, on
    Windows, some are received on by readiness.
    """
    findings = trio.run(examine_all)
    versions = {
        "trio_wsarecv": __version__,
        "trio": trio.__version__,
        "cffi": cffi.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(),
    }
    if as_json:
        report = {"versions": versions, "sockets": [_as_dict(finding) for finding in findings]}
        click.echo(json.dumps(report, indent=2))
    else:
        _print_tables(versions, findings)
    overlapped = [finding.engine == Choice.OVERLAPPED.value for finding in findings]
    sys.exit(1 if sys.platform == "win32" and not all(overlapped) else 0)


def _as_dict(finding: Finding) -> dict[str, object]:
    provider = finding.provider._asdict() if finding.provider else None
    return {**asdict(finding), "provider": provider}


def _print_tables(versions: dict[str, str], findings: list[Finding]) -> None:
    console = rich.console.Console()
    for name, version in versions.items():
        console.print(f"{name:<14}{version}", highlight=False)
    table = rich.table.Table("socket", "engine", "provider", "chain", "IFS handles")
    for finding in findings:
        provider = finding.provider
        details = (
            (provider.name, str(provider.chain_length), "yes" if provider.has_ifs_handles else "no")
            if provider
            else ("-", "-", "-")
        )
        table.add_row(finding.kind, finding.engine or f"none: {finding.error}", *details)
    console.print(table)
