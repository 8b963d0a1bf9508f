"""A Debian 13 in a folder of the cache, for other systems: ``python -m tools.debian``.

It does there what the README tells a new user to do.
"""
