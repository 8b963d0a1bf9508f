"""The names of the subjects in the results."""

from typing import Final

STOCK: Final = "trio"
SOCKET: Final = "trio.socket, recv_into"
OURS: Final = "trio_wsarecv"
RUN: Final = "trio_wsarecv run"
LOOPS: Final = ("asyncio", "winloop")
RAW: Final = "raw C"
RAW_SKIP: Final = "raw C, skip on success"

STOCK_DATAGRAMS: Final = "trio recvfrom"
RUN_DATAGRAMS: Final = f"{RUN} recvfrom"
CALLS: Final = ("recvfrom", "recvfrom_into", "recvfrom_many", "sendto_many", "recvmsg")
BARE: Final = "trio wait_overlapped"

SCHEMES: Final = ("http", "https")
