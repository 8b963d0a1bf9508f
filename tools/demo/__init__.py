"""The demonstration: `nox -s demo`."""
