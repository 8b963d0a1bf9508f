"""A Debian in a folder is for Linux only."""

import sys

collect_ignore = [] if sys.platform == "linux" else ["test_chroot.py", "test_settings.py"]
