"""Receives on real sockets, one file a subject.

On Linux the package uses Trio's own way; in a Windows CPython, under Wine too, that of Windows.
"""
