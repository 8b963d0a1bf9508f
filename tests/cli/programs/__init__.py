"""Programs for the command line to run; all but `counted.py` do not know this package.

Each shows one thing that running a program could change.
"""
