"""Checks of the project itself: imports, documentation, examples, and settings."""
