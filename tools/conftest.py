"""`wine` and `debian` are for Linux."""

import sys

collect_ignore = [] if sys.platform == "linux" else ["test_debian.py", "wine"]
