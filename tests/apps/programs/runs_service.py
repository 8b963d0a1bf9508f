"""Runs the example service without the service manager: ``runs_service.py PORT``.

``servicemanager.Debugging`` is what ``service.py debug`` uses: states are written instead of
reported. It cannot be stopped from another thread, so the service is driven by hand.
"""

import socket
import sys
import threading
from contextlib import suppress

import servicemanager

import trio_wsarecv
from docs.examples import service

assert sys.platform == "win32"

service.PORT = int(sys.argv[1])
servicemanager.Debugging(True)
servicemanager.PrepareToHostSingle(service.EchoService)
echo = service.EchoService([service.EchoService._svc_name_])
thread = threading.Thread(target=echo.SvcRun)
thread.start()
client = None
while not client:
    with suppress(ConnectionRefusedError):
        client = socket.create_connection(("127.0.0.1", service.PORT))
with client:
    client.sendall(b"hello")
    print(client.recv(10))
echo.SvcStop()
thread.join()
print(trio_wsarecv.statistics().overlapped_sockets, "overlapped")
