"""A Windows CPython on Linux, through Wine: README.md says how to use it.

`winpython` runs it, and `environment` is the way to it from Python.
"""
