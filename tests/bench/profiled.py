"""Runs a subject under cProfile, but for its imports: ``profiled.py TARGET SCRIPT``."""

from __future__ import annotations

import cProfile
import runpy
import sys

import trio

from tests.bench import libraries

if __name__ == "__main__":
    target, script = sys.argv[1:]
    main = runpy.run_path(script)["main"]
    libraries.wrap_all(libraries.visible)
    profile = cProfile.Profile()
    profile.enable()
    trio.run(main)
    profile.disable()
    profile.dump_stats(target)
