"""Asks Windows what no source says, in a few seconds: ``python answers.py``.

It needs Python and trio_wsarecv, uses loopback only, and changes nothing.  The package works with
every answer that is expected here.  The numbers are those of tests/simulation/oracle.
"""

from __future__ import annotations

import re
import socket
import sys
import time
from typing import Any, Final

import trio

import trio_wsarecv
from trio_wsarecv._cli.doctor import versions
from trio_wsarecv._winsock.calls import NULL, ffi, kernel32, ws2_32
from trio_wsarecv._winsock.codes import NtStatus, name_of
from trio_wsarecv._winsock.datagram import wsarecvmsg_function

assert sys.platform == "win32", "these questions are about Windows"
import _overlapped  # type: ignore[import-not-found]  # noqa: E402

SOON: Final = 0.3  # seconds, in which loopback has delivered everything
HERE, ALSO_HERE = "127.0.0.1", "127.0.0.2"
IP, IP_PKTINFO, IP_ECN, OOB, PARTIAL = socket.IPPROTO_IP, 19, 50, 0x1, 0x8000
kept: list[object] = []  # what the kernel may still write to


class Receive:
    """One overlapped receive of 4 bytes, of a socket that gets a completion port of its own."""

    def __init__(self, sock: socket.socket, flags: int = 0, control: int | None = None) -> None:
        kept.append(self)
        self.sock = sock
        self.port = _overlapped.CreateIoCompletionPort(_overlapped.INVALID_HANDLE_VALUE, 0, 0, 1)
        _overlapped.CreateIoCompletionPort(sock.fileno(), self.port, 0, 0)
        self.memory: Any = ffi.new("RECEIVE *", {"flags": flags})
        self.buffer: Any = ffi.new("WSABUF *", (4, self.memory.small))
        self.overlapped: Any = ffi.addressof(self.memory, "overlapped")
        if control is None:
            words = (NULL, ffi.addressof(self.memory, "flags"), self.overlapped, NULL)
            failed = ws2_32.WSARecv(sock.fileno(), self.buffer, 1, *words)
        else:
            self.control = ffi.new("char[]", 512)
            self.message = ffi.new("WSAMSG *", (NULL, 0, self.buffer, 1, (control, self.control)))
            receive = wsarecvmsg_function(sock)
            failed = receive(sock.fileno(), self.message, NULL, self.overlapped, NULL)
        self.call: str = name_of(ws2_32.WSAGetLastError()) if failed else "success"

    def status(self) -> str:
        status = self.overlapped.Internal & 0xFFFFFFFF
        return next((each.name for each in NtStatus if each == status), hex(status))

    def packet(self) -> str:
        found = _overlapped.GetQueuedCompletionStatus(self.port, int(SOON * 1000))
        return f"{self.status()} with {self.overlapped.InternalHigh} bytes" if found else "none"


def streams(data: bytes = b"") -> tuple[socket.socket, socket.socket]:
    with socket.create_server((HERE, 0)) as listener:
        one, (other, _) = socket.create_connection(listener.getsockname()), listener.accept()
    other.sendall(data)
    time.sleep(SOON)
    return one, other


def datagrams(data: bytes) -> socket.socket:
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind((HERE, 0))
    sock.connect(sock.getsockname())
    sock.setsockopt(IP, IP_PKTINFO, 1)
    sock.send(data)
    time.sleep(SOON)
    return sock


def around_the_packet(act: Any) -> str:
    one, other = streams()
    receive = Receive(one)
    act(receive, other)
    time.sleep(SOON)
    return f"{receive.status()}, then {receive.packet()}"


def whole(sock: socket.socket, **options: int) -> str:
    receive = Receive(sock, **options)
    return f"{receive.call}, {receive.status()}, then {receive.packet()}"


def after_shutdown() -> str:
    sock = datagrams(b"")
    sock.recv(1)
    sock.shutdown(socket.SHUT_RDWR)
    return Receive(sock).call


def closing() -> str:
    one, other = streams()
    Receive(one).sock.close()
    other.settimeout(SOON)
    return "end" if other.recv(1) == b"" else "data"


async def sendmsg(kind: int, data: bytes) -> str:
    with socket.socket(type=socket.SOCK_DGRAM) as plain, trio.fail_after(5):
        plain.bind(("0.0.0.0", 0))
        if kind == IP_ECN:
            plain.setsockopt(IP, IP_ECN, 1)
        sock: Any = trio_wsarecv.from_stdlib_socket(plain)
        await sock.sendmsg([b"data"], [(IP, kind, data)], 0, (HERE, sock.getsockname()[1]))
        _, found, _, (source, _) = await sock.recvmsg(100, 200)
    return f"from {source}, ECN {[value[0] for _, type_, value in found if type_ == IP_ECN]}"


DATA, CUT = "SUCCESS with 4 bytes", "BUFFER_OVERFLOW with 4 bytes"
FLAG = f"success, SUCCESS, then {DATA}|WSAEOPNOTSUPP, .*, then none"
SOURCE, ECT_0 = socket.inet_aton(ALSO_HERE) + bytes(4), (2).to_bytes(4, "little")
# A question, the pattern of the answers that are expected, and how to ask.
QUESTIONS: list[tuple[str, str, Any]] = [
    ("1: data", f"(PENDING|SUCCESS), then {DATA}",
     lambda: around_the_packet(lambda _, other: other.sendall(b"data"))),
    ("1: cancelled", "(PENDING|CANCELLED), then CANCELLED with 0 bytes",
     lambda: around_the_packet(lambda r, _: kernel32.CancelIoEx(r.sock.fileno(), r.overlapped))),
    ("17, 19: a datagram that is too long", f"(WSA_IO_PENDING|WSAEMSGSIZE), .*, then {CUT}",
     lambda: whole(datagrams(b"too long"))),
    ("19, 22: control data that is too long", f"(.*PENDING, .*|.*, BUFFER_OVERFLOW), then {CUT}",
     lambda: whole(datagrams(b"data"), control=16)),
    ("48: datagrams after SD_BOTH", "WSAESHUTDOWN|WSA_IO_PENDING", after_shutdown),
    ("57: MSG_PARTIAL of a stream", FLAG, lambda: whole(streams(b"data")[0], flags=PARTIAL)),
    ("57: MSG_PARTIAL of a datagram", FLAG, lambda: whole(datagrams(b"data"), flags=PARTIAL)),
    ("80: MSG_OOB of nothing", "(WSA_IO_PENDING|WSAEINVAL), .*",
     lambda: whole(streams()[0], flags=OOB)),
    ("81: the peer of a close", "end|ConnectionResetError.*", closing),
    ("IP_PKTINFO", f"from {ALSO_HERE}, ECN ..", lambda: trio.run(sendmsg, IP_PKTINFO, SOURCE)),
    ("IP_ECN", f"from {HERE}, ECN .2.", lambda: trio.run(sendmsg, IP_ECN, ECT_0)),
]  # fmt: skip

if __name__ == "__main__":
    print("Please paste all lines into an issue.\n\n```text\n", versions())
    for question, expected, ask in QUESTIONS:
        try:
            seen = ask()
        except Exception as exc:  # which is an answer, too
            seen = repr(exc)
        print(" " if re.fullmatch(expected, seen) else "!", question)
        print("    expected ", expected, "\n    seen     ", seen)
    print("```")
