"""The engine on the simulation, one file a subject.

A test decides what the kernel does and when, so every order of events is tried on every system.
"""
