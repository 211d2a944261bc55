"""Idempotency-Key: a repeated request gets the first response, byte for byte, and has no effect of its own.

A header field marks the repeated response. After draft-ietf-httpapi-idempotency-key-header; keys belong to the
principal.
"""

from service.resources.requests.idempotency.idempotency_key import KeyedRequest, keyed_request
from service.resources.requests.idempotency.once import run_once
from service.resources.requests.idempotency.store import IdempotencyStore, record_parameters

__all__ = ["IdempotencyStore", "KeyedRequest", "keyed_request", "record_parameters", "run_once"]
