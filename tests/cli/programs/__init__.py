"""Programs that do not know this package, for its command line to run.

Each shows one thing that running a program could change.
"""
