"""The way to Redis, on a real one that misbehaves."""
