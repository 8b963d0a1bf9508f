"""Receives on real sockets, one file for each subject.

Natively they use the readiness engine, and in a Windows CPython, also under Wine, the overlapped
one.
"""
