"""Tools for developing the package, of which none is part of it.

`tools.wine` is a Windows CPython for Linux, which most of the others use.
"""
