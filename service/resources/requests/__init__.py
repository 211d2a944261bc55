"""Reads the parts of a request: parameters, merge patches, preconditions, idempotency keys."""
