"""The simulation does what Windows is known to do: tests that call Winsock by hand.

Each is marked with the number of the behaviour and with who asserts or reports it.
"""
