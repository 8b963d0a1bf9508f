"""Overlapped ``WSARecv`` for Trio.

In a Trio program on Windows, a receive becomes one overlapped ``WSARecv`` on Trio's own completion
port, cancelled by ``CancelIoEx``, and no byte is ever lost.  On other systems the same names work,
by readiness.
"""

from ._engine.exact import IncompleteReceiveError as IncompleteReceiveError
from ._engine.messages import ReceiveResult as ReceiveResult
from ._engine.requests import Datagram as Datagram
from ._install import SocketFactory as SocketFactory
from ._install import install as install
from ._install import patch_trio as patch_trio
from ._install import unpatch_trio as unpatch_trio
from ._socket import Socket as Socket
from ._socket import from_stdlib_socket as from_stdlib_socket
from ._statistics import Statistics as Statistics
from ._statistics import statistics as statistics
from ._stream import SocketStream as SocketStream
from ._tcp import SocketListener as SocketListener
from ._tcp import open_tcp_listeners as open_tcp_listeners
from ._tcp import open_tcp_stream as open_tcp_stream
from ._tcp import serve_tcp as serve_tcp
from ._version import __version__ as __version__
from ._winsock.codes import MsgFlag as MsgFlag
from ._winsock.codes import WinsockError as WinsockError
from ._wsarecv import wsarecv as wsarecv

# What is public says so: pickles, error messages and documentation do not name private modules.
for _object in list(globals().values()):
    if str(getattr(_object, "__module__", "")).startswith(f"{__name__}."):
        _object.__module__ = __name__
del _object
