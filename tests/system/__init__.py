"""Receives on real sockets, one file a subject.

On Linux the package uses Trio's own way there, in a Windows CPython under Wine that of Windows.
"""
