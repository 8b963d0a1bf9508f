"""The wheel and the sdist: built twice alike, and used where nothing else is installed.

``python -m tools.wheel`` writes both into ``dist``.
"""
