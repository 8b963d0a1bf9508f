"""Random programs, each run on stock Trio and on this package; both must do the same.

Stock Trio is the oracle.  What may differ is listed in `differences`, and there is nothing else.
"""
