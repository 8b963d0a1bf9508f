"""Programs that do not know trio_wsarecv, for `python -m trio_wsarecv run`."""
