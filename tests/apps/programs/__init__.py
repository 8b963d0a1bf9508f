"""Whole programs that do not know trio_wsarecv.

The tests run them under ``python -m trio_wsarecv run``.
"""
