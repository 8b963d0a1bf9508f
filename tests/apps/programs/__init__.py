"""Whole programs that were never told of trio_wsarecv.

The tests run them under ``python -m trio_wsarecv run``.
"""
