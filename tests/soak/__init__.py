"""Many connections, hostile peers, receives cancelled at random, and every byte checked.

``python -m tests.soak`` starts the process under test, on Windows, and the far ends outside of it.
"""
