"""What Windows is known to do, asked of the simulation by calling Winsock by hand.

Each test is marked with the number of the behaviour and with who asserts or reports it.
"""
