"""Fault tests: the real service on servers that fail. Checks use the responses that clients got and the database, never
logs."""
