"""What needs neither a kernel nor Trio: statuses, errors, addresses, layouts.

The functions are pure, and the tables are compared with numbers written out once more.
"""
