"""Trio's own tests, with its own sockets and with ours."""
