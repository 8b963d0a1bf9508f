"""Prints what it finds of itself, however it is started."""

import os
import pickle
import sys

if __package__:
    from . import sibling
else:
    import sibling  # type: ignore[import-not-found,no-redef]

import __main__


class Thing:
    """Can be pickled only if `__main__` is this program."""


print("argv", sys.argv)
print("name", __name__)
print("file", globals().get("__file__"))
print("package", __package__ or None)
print("spec", __spec__ and __spec__.name)
print("loader", hasattr(globals().get("__loader__"), "get_data") or not globals().get("__file__"))
print("doc", __doc__)
path = sys.path[0]
print("path", path if sys.argv[0] == "-c" else os.path.normcase(os.path.abspath(path)))
print("main", vars(__main__) is globals(), sys.modules["__main__"] is __main__)
print("pickle", type(pickle.loads(pickle.dumps(Thing()))) is Thing)
print("sibling", sibling.__name__)
print("stdin", sys.stdin.read())
print("names", sorted(name for name in globals() if not name.startswith("__")))
