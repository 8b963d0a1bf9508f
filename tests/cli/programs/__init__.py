"""Programs that were never told about this package, for its command line to run.

Each shows one thing that running a program can change.
"""
