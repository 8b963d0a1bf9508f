"""Random programs, each run on stock Trio and on this package; both must do the same.

Stock Trio is the oracle.  The allowed differences are listed in `differences`.
"""
