"""The same scenarios on the simulation, on the real Winsock, and with CPython's own calls.

The simulation and the package must give the expected results; `DIFFERENCES` lists where CPython's
`_overlapped` does not, with reasons.
"""
