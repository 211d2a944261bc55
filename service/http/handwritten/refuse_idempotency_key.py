"""Refuses an Idempotency-Key on operations that store no responses, since the client relies on it."""

from fastapi import Request

from service.http.middleware.state import field_values
from service.http.problems import FieldError, KeyNotSupported

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, 9.2.1: safe to repeat


def refuse_key(request: Request) -> None:
    """Raise `KeyNotSupported` for a request with a key that would change something."""
    if request.method not in _SAFE and field_values(request.scope, HEADER.lower().encode()):
        message = (
            "Omit the key: the response is not stored. Where If-Match is supported, it makes retries safe."
        )
        raise KeyNotSupported(errors=[FieldError(message, header=HEADER)])
