"""The tests, in folders that are layers; README.md says which test belongs where.

What several layers share lies here.
"""
