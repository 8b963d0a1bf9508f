"""Runs a subject under cProfile, but for its imports: ``profiled.py TARGET SCRIPT``."""

from __future__ import annotations

import cProfile
import runpy
import sys

import trio

if __name__ == "__main__":
    target, script = sys.argv[1:]
    main = runpy.run_path(script)["main"]
    profile = cProfile.Profile()
    profile.enable()
    trio.run(main)
    profile.disable()
    profile.dump_stats(target)
