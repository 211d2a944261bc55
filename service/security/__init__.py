"""Callers: their identity, scopes and rate limits."""
