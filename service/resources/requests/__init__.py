"""Reads the parts of a request: parameters, merge patches, idempotency keys."""
