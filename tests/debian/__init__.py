"""A Debian 13 in a folder of the cache, for whoever has another one: ``python -m tests.debian``."""
