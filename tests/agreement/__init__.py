"""The same scenarios on the simulation, on the real Winsock, and with CPython's own calls.

The simulation has to do what all three agree on; `DIFFERENCES` lists the rest, with reasons.
"""
