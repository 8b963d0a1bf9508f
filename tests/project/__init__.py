"""What must hold for the project as a whole, rather than for a receive.

That is the imports of the package, its documentation with the examples, and settings.
"""
