"""Makes terminals of standard streams that are pipes to `relay.py`, which copies to a terminal."""

import os
import sys

for name in os.environ.pop("WINPYTHON_TERMINALS", "").split():
    stream = getattr(sys, name)
    stream.isatty = lambda: True
    stream.reconfigure(line_buffering=True)
