"""An echo server as a Windows service: ``service.py install``, then ``service.py start``."""

import contextlib
import sys

import trio
import win32event
import win32service
import win32serviceutil

import trio_wsarecv

assert sys.platform == "win32"

PORT = 12345


async def echo(stream: trio_wsarecv.SocketStream) -> None:
    with contextlib.suppress(trio.BrokenResourceError):
        async for data in stream:
            await stream.send_all(data)


class EchoService(win32serviceutil.ServiceFramework):
    _svc_name_ = "TrioEcho"
    _svc_display_name_ = "Echo server on Trio"

    def __init__(self, args: list[str]) -> None:
        super().__init__(args)
        self.stop_requested = win32event.CreateEvent(None, True, False, None)

    def SvcStop(self) -> None:
        """Called in a different thread than `SvcDoRun`."""
        self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING)
        win32event.SetEvent(self.stop_requested)

    def SvcDoRun(self) -> None:
        trio.run(self.serve)

    async def serve(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio_wsarecv.serve_tcp, echo, PORT)
            await trio.lowlevel.WaitForSingleObject(int(self.stop_requested))
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    win32serviceutil.HandleCommandLine(EchoService, argv=sys.argv)
