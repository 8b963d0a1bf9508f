"""``python -m trio_wsarecv``: its commands, and what they print.

Programs run under it and plainly, and must end alike.
"""
