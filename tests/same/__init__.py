"""Random programs, each run on stock Trio and on this package; both must do the same."""
