"""Large contents of requests and responses, and their digests."""

from __future__ import annotations

import functools
import hashlib
import random
from collections.abc import Iterator

PIECE = 64 << 10


def pieces(nbytes: int) -> Iterator[bytes]:
    """Give this many bytes in all, always the same."""
    source = random.Random(nbytes)
    for start in range(0, nbytes, PIECE):
        yield source.randbytes(min(PIECE, nbytes - start))


@functools.lru_cache
def digest(nbytes: int) -> str:
    """Return the SHA-256 of what `pieces` gives."""
    hash_ = hashlib.sha256()
    for piece in pieces(nbytes):
        hash_.update(piece)
    return hash_.hexdigest()
