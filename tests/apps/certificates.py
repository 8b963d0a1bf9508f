"""A certificate for this machine, in files."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import trustme


class Certificates(NamedTuple):
    """The files: of the server, and of the authority that its clients have to trust."""

    server: Path
    authority: Path


def create(folder: Path) -> Certificates:
    """Write the files into this folder."""
    files = Certificates(folder / "server.pem", folder / "authority.pem")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(files.authority)
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(files.server)
    return files
