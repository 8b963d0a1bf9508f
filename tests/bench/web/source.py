"""A server of large files, native to this system: ``python -m tests.bench.web.source [FILE]``.

``GET /N`` gives N bytes, N being a multiple of `PIECE`.  With the file of a certificate and its key
the server speaks TLS.
"""

from __future__ import annotations

import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PIECE = 256 * 1024
CONTENT = bytes(range(256)) * (PIECE // 256)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        size = int(self.path[1:])
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        for _ in range(size // PIECE):
            self.wfile.write(CONTENT)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate := sys.argv[1:]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("bench port", server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
