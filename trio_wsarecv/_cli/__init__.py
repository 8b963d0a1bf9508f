"""The commands of ``python -m trio_wsarecv``."""
