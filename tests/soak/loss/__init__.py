"""How many bytes are lost when receives are cancelled at random, here and elsewhere."""
