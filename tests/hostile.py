"""A peer that misbehaves on command: ``hostile.py CONTROL_PORT``.

It runs outside the process under test, and outside Wine if that process runs under Wine: only a
socket of the system itself shows what arrives at the other end of a connection.  It needs only
the standard library.

It sends the port that it listens on over the control connection, and exits when that closes.
Each connection to it carries commands, one a line:

=================  ======================================================================
send N             send the first N bytes of the pattern
drip N SIZE PAUSE  the same, in pieces of SIZE bytes with random pauses of up to PAUSE ms
fin                send the end of the stream
reset              reset the connection
close              close the connection, as does an empty line
dial PORT          connect to that port; what follows is about the new connection
say WORDS          send a line of text
hear N             receive N bytes
watch NAME         receive until the end, and store under this name how it ended
result NAME        send what is stored under this name, as soon as it is
=================  ======================================================================
"""

from __future__ import annotations

import array
import functools
import io
import os
import queue
import random
import socket
import struct
import sys
import threading
import time
from collections import defaultdict

RESET_ON_CLOSE = struct.pack("ii" if os.name == "posix" else "hh", 1, 0)


@functools.lru_cache(maxsize=2)
def pattern(nbytes: int) -> bytes:
    """Return bytes that differ with their position: the numbers 0, 1, 2…, of four bytes each."""
    return array.array("I", range(-(-nbytes // 4))).tobytes()[:nbytes]


results: defaultdict[str, queue.Queue[str]] = defaultdict(queue.Queue)


def serve(sock: socket.socket) -> None:
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            commands = sock.makefile("rb", buffering=0)
            while obey(sock, commands):
                pass
        except OSError:
            pass


def obey(sock: socket.socket, commands: io.RawIOBase) -> bool:
    """Carry out the next command; return whether the connection goes on."""
    match command := commands.readline().decode().split():
        case ["send", nbytes]:
            sock.sendall(pattern(int(nbytes)))
        case ["drip", nbytes, size, pause]:
            data = pattern(int(nbytes))
            for start in range(0, len(data), int(size)):
                sock.sendall(data[start : start + int(size)])
                time.sleep(random.uniform(0, float(pause)) / 1000)
        case ["fin"]:
            sock.shutdown(socket.SHUT_WR)
        case ["reset"]:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            return False
        case ["dial", port]:
            with socket.create_connection(("127.0.0.1", int(port))) as other:
                while obey(other, commands):
                    pass
            return False
        case ["say", *words]:
            sock.sendall(" ".join(words).encode() + b"\r\n")
        case ["hear", nbytes]:
            missing = int(nbytes)
            while missing and (data := sock.recv(min(missing, 65536))):
                missing -= len(data)
        case ["watch", name]:
            received = 0
            try:
                while data := sock.recv(65536):
                    received += len(data)
                results[name].put(f"{received} bytes, then the end")
            except OSError as exc:
                results[name].put(f"{received} bytes, then {type(exc).__name__}")
            return False
        case ["result", name]:
            sock.sendall(results[name].get().encode())
            return False
        case ["close"] | []:
            return False
        case _:
            raise ValueError(command)
    return True


def main(control_port: str) -> None:
    control = socket.create_connection(("127.0.0.1", int(control_port)))
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=serve, args=(sock,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    control.sendall(str(listener.getsockname()[1]).encode() + b"\n")
    control.recv(1)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
