"""Making Trio itself use `Socket`: for one run, through its own hook, or for the whole process.

Trio lets a program replace the factory behind `trio.socket.socket`, once in each run.  Sockets that
are made from existing ones, as by `trio.socket.from_stdlib_socket`, do not use that factory.  They
are all made by one class, which `patch_trio` replaces.  It also makes `SocketFactory` the factory
of every run that has no other, since only a factory knows that a socket is new.

With ``TRIO_WSARECV=0``, ``false``, ``no`` or ``off`` in the environment, all of this does nothing.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from functools import cache
from typing import Any, Final

import trio

from ._socket import Socket, own_socket
from ._statistics import counters

# The class of Trio's own sockets.
_STOCK: Final = Socket.__bases__[-1]

# The values of the environment variable.
_OFF: Final = {"0", "false", "no", "off"}
_ON: Final = {"", "1", "true", "yes", "on"}


class SocketFactory(trio.abc.SocketFactory):
    """The `trio.abc.SocketFactory` that creates a `Socket`."""

    def socket(
        self,
        family: int = socket.AF_INET,
        type: int = socket.SOCK_STREAM,
        proto: int = 0,
    ) -> Socket:
        """Create a socket, as `trio.socket.socket`."""
        return own_socket(socket.socket(family, type, proto))


def why_off() -> str | None:
    """Return why `install` and `patch_trio` change nothing here; None if they do."""
    if sys.platform != "win32":
        return "overlapped receives exist on Windows only"
    value = os.environ.get("TRIO_WSARECV", "")
    return f"TRIO_WSARECV={value} in the environment" if turns_off(value) else None


@cache  # so it warns once of each value
def turns_off(value: str) -> bool:
    """Return whether a value of ``TRIO_WSARECV`` turns the package off; warn of an unknown one."""
    setting = value.strip().lower()
    if setting not in _OFF | _ON:
        logging.getLogger("trio_wsarecv").warning(
            "TRIO_WSARECV=%s is ignored: it is neither 0, false, no or off nor 1, true, yes or on",
            value,
        )
    return setting in _OFF


def install() -> None:
    """Make every new socket of the current `trio.run` a `Socket`.

    From then on, `trio.socket.socket` and everything that uses it (`trio.open_tcp_stream`,
    `trio.serve_tcp`, `trio.SSLStream` over these, and libraries) receives by overlapped
    ``WSARecv``.  On other systems, or with ``TRIO_WSARECV=0`` in the environment, this does
    nothing.

    Raises:
      RuntimeError: it is called outside of `trio.run`.

    Source: `trio.socket.set_custom_socket_factory`.
    """
    if not why_off():
        trio.lowlevel.current_trio_token()
        trio.socket.set_custom_socket_factory(SocketFactory())


def patch_trio() -> None:
    """Make every new Trio socket of this process a `Socket`.

    In addition to `install`, this covers `trio.socket.from_stdlib_socket`, ``fromfd``,
    ``fromshare`` and ``socketpair``, and so servers that create their listening sockets
    themselves.  Call it before `trio.run` or in it; calling it again has no effect.  On other
    systems, or with ``TRIO_WSARECV=0`` in the environment, this does nothing.

    Raises:
      RuntimeError: this version of Trio creates its sockets in another way, or another library
          has replaced their class.
    """
    if not why_off():
        _patch(Socket)


def unpatch_trio() -> None:
    """Undo `patch_trio`.  Existing sockets do not change.

    Raises:
      RuntimeError: another library has replaced the class of Trio's sockets since.
    """
    if sys.platform == "win32":
        _patch(_STOCK)


class _DefaultFactory:
    """Replaces Trio's run variable of the socket factory: `SocketFactory` is its default."""

    def __init__(self, module: Any) -> None:
        self.variable = module._socket_factory
        self.set_custom = module.set_custom_socket_factory
        self._module = module
        self._ours = SocketFactory()

    def get(self, default: None) -> trio.abc.SocketFactory:
        factory = self.variable.get(default)
        return self._ours if factory is None else factory

    def set(self, factory: trio.abc.SocketFactory | None) -> None:
        """Set the variable: called by Trio's function if a program imported it before the patch."""
        self.variable.set(factory)

    def set_custom_socket_factory(
        self, socket_factory: trio.abc.SocketFactory | None
    ) -> trio.abc.SocketFactory | None:
        """Call Trio's own function, which has to see what the program has set."""
        self._module._socket_factory = self.variable
        try:
            previous: trio.abc.SocketFactory | None = self.set_custom(socket_factory)
            return previous
        finally:
            self._module._socket_factory = self


def _patch(cls: Any) -> None:
    module: Any = sys.modules.get("trio._socket")
    present = getattr(module, "_SocketType", None)
    factory = getattr(module, "_socket_factory", None)
    if present not in (Socket, _STOCK) or not isinstance(
        factory, (trio.lowlevel.RunVar, _DefaultFactory)
    ):
        raise RuntimeError(
            f"cannot patch trio {trio.__version__}: it has no class trio._socket._SocketType "
            "and no variable trio._socket._socket_factory, or another library has replaced them"
        )
    module._SocketType = cls
    count = counters.sockets
    with socket.socket() as sample:
        made = type(trio.socket.from_stdlib_socket(sample))
    counters.sockets = count  # counts only the sockets of the program
    if made is not cls:
        module._SocketType = present
        raise RuntimeError(
            f"cannot patch trio {trio.__version__}: "
            "its sockets are not made by trio._socket._SocketType"
        )
    if isinstance(factory, _DefaultFactory):
        module._socket_factory, set_custom = factory.variable, factory.set_custom
    else:
        set_custom = module.set_custom_socket_factory
    if cls is Socket:
        module.set_custom_socket_factory = set_custom
        module._socket_factory = default = _DefaultFactory(module)
        set_custom = default.set_custom_socket_factory
    trio.socket.set_custom_socket_factory = set_custom
    module.set_custom_socket_factory = set_custom
