"""What develops the package: none of it is part of the package, and some could serve another.

`tools.wine` is a Windows CPython for Linux, on which most of the others build.
"""
