"""Winsock, called by hand."""

from .calls import winsock as winsock
