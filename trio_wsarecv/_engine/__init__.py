"""Receiving on a socket in a `trio.run`: two engines behind one entry."""
