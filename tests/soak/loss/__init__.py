"""How many bytes several libraries lose when receives are cancelled at random.

``python -m tests.soak.loss.compare`` runs the same job in four libraries.
"""
