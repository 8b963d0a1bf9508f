"""On Windows there is nothing to test here: `winpython.py` is simply this Python there."""

import sys

collect_ignore = ["test_winpython.py"] if sys.platform == "win32" else []
