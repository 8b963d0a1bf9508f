"""A Windows CPython on Linux, through Wine: `winpython.py` runs a script with it, `environment.ensure()` is its API."""
