"""The same scenarios on the simulation, on the real Winsock, and with CPython's own calls.

What the three agree on is what the simulation has to get right; where they differ, `differences`
says why.
"""
