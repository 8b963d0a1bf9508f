"""Mutation testing by cosmic-ray: changes the source in one place, and has the fast tests notice.

``python -m tools.mutants [MODULE…]`` does it, on copies of the repository.  cosmic-ray finds the
places and makes the changes (`mutation`); the tests run in processes that are forked from one that
has imported already what takes long (`trial`).  Survivors have been looked at one by one: either
there is a test by now, or `equivalent` says why there can be none.
"""
