"""Whole programs that were never told of trio_wsarecv."""
