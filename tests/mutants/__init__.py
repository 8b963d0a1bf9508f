"""Changes one rule of the engine at a time, and has the fast tests find it out."""
