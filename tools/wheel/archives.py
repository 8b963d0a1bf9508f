"""The two archives of a release: built twice, in two places, with the same bytes.

The second build is from the unpacked sdist of the first, which shows that it holds all that
building needs.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def build_twice(target: Path) -> tuple[Path, Path]:
    """Replace this folder by one with the wheel and the sdist, and return their names.

    Raises:
      SystemExit: the two builds differ.
    """
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        first = build(REPOSITORY, scratch / "first")
        shutil.unpack_archive(first[1], scratch / "unpacked")
        (unpacked,) = (scratch / "unpacked").iterdir()
        second = build(unpacked, scratch / "second")
        for one, other in zip(first, second, strict=True):
            digests = {hashlib.sha256(file.read_bytes()).hexdigest() for file in (one, other)}
            print(*digests, one.name, flush=True)
            if len(digests) > 1 or one.name != other.name:
                sys.exit(f"the second build differs: {other.name}")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(first[0].parent, target)
    return target / first[0].name, target / first[1].name


def build(source: Path, target: Path) -> tuple[Path, Path]:
    """Build both, the wheel from the sdist."""
    built = subprocess.run(
        [sys.executable, "-m", "build", "--installer=uv", "--outdir", target, source],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if built.returncode:
        sys.exit(built.stdout)
    (wheel,), (sdist,) = target.glob("*-py3-none-any.whl"), target.glob("*.tar.gz")
    return wheel, sdist


def check(wheel: Path, sdist: Path) -> None:
    """Check that an index would accept them, and that the wheel holds the package."""
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", wheel, sdist], check=True)
    subprocess.run([sys.executable, "-m", "check_wheel_contents", wheel], check=True)
