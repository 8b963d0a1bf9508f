"""Many connections, hostile peers, receives cancelled at random, and every byte checked."""
