"""A Windows CPython on Linux, through Wine: `winpython.py` to run it, `environment` as its API."""
