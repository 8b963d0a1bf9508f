"""Wine and a Debian in a folder are for Linux; on Windows, `winpython` is this Python itself."""

import sys

collect_ignore = [] if sys.platform == "linux" else ["debian", "wine"]
