"""Many connections, bad peers, receives cancelled at random, and every byte accounted for."""
