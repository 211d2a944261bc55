"""The Redis client, in-memory caches, and the messages that keep the caches of all replicas up to date."""
