"""Winsock: its names, its structures and calls, and what its answers mean.  Nothing here waits."""
