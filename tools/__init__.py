"""What develops the package.

Nothing here is part of it, and much of it could serve another."""
