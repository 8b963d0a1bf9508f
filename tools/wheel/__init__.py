"""The wheel and the sdist: built twice with the same bytes, and used with nothing else installed.

``python -m tools.wheel`` writes both into ``dist``.
"""
