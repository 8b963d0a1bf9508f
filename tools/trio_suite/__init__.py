"""Trio's own tests, with its own sockets and with ours.

They run on Windows, and each test must end alike both times.
"""
