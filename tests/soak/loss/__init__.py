"""How many bytes are lost when receives are cancelled at random, here and elsewhere.

``python -m tests.soak.loss.compare`` runs the same job in four libraries.
"""
