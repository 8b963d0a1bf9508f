"""A Windows CPython on Linux, through Wine: README.md says how to use it.

`winpython` runs it, and `environment.ensure` returns it in Python.
"""
