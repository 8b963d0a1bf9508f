"""The demonstration: ``nox -s demo``.

It downloads a large file on Windows, cancels a receive, and prints what it measured.
"""
