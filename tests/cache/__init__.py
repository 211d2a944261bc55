"""The Redis client, against a real Redis that misbehaves."""
