"""Builds the native programs: the load generators, a sink, and the raw completion port."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

SOURCES = Path(__file__).parent / "native"
OPTIONS = ("-O2", "-Wall", "-Wextra", "-Werror")
WINSOCK = ("-lws2_32", "-lwinmm")
OPENSSL = ("-lssl", "-lcrypto")
PACKAGES = "on Debian: apt-get install gcc gcc-mingw-w64-x86-64 libssl-dev"


class Binaries(NamedTuple):
    load: Path
    client: Path
    sink: Path
    raw: Path
    datagrams: Path
    raw_datagrams: Path


def build(folder: Path) -> Binaries:
    """Compile into a folder: what is native to this system, and what runs on Windows."""
    if sys.platform == "win32":
        native = windows = "gcc"
        native_libraries = WINSOCK
    else:
        native, windows = "gcc", "x86_64-w64-mingw32-gcc"
        native_libraries = ()
    return Binaries(
        _compile(native, "load", folder, native_libraries),
        _compile(native, "client", folder, native_libraries),
        _compile(native, "sink", folder, native_libraries),
        _compile(windows, "raw", folder, WINSOCK),
        _compile(native, "datagrams", folder, native_libraries),
        _compile(windows, "raw_datagrams", folder, WINSOCK),
    )


def build_http_load(folder: Path) -> Path:
    """Compile the load generator for web servers, which needs OpenSSL."""
    libraries = (*OPENSSL, *WINSOCK) if sys.platform == "win32" else OPENSSL
    return _compile("gcc", "http_load", folder, libraries)


def _compile(compiler: str, name: str, folder: Path, libraries: tuple[str, ...]) -> Path:
    if not shutil.which(compiler):
        sys.exit(f"bench: {compiler} is missing; {PACKAGES}")
    target = folder / f"{name}.exe"
    source = SOURCES / f"{name}.c"
    if subprocess.call([compiler, *OPTIONS, str(source), "-o", str(target), *libraries]):
        sys.exit(f"bench: {source.name} cannot be compiled; {PACKAGES}")
    return target


def build_library(name: str, folder: Path) -> Path:
    """Compile a shared library for this system."""
    return _compile("gcc", name, folder, ("-shared", "-fPIC"))
