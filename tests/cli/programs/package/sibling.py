"""Is imported by its neighbour."""
