"""Programs that were never told about this package, for its command line to run."""
