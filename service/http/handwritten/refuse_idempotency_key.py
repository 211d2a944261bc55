"""Refuses an Idempotency-Key on operations that store no responses, since the client relies on it."""

from fastapi import Request

from service.http.middleware.state import state_of
from service.http.problems import FieldError, KeyNotSupported

HEADER = "Idempotency-Key"
_FIELD = HEADER.lower().encode()
REPLAYED = "Idempotency-Replayed"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, 9.2.1: safe to repeat


def refuse_key(request: Request) -> None:
    """Raise `KeyNotSupported` for a request with a key that would change something."""
    if request.scope["method"] not in _SAFE and _FIELD in state_of(request.scope).fields:
        message = (
            "Omit the key: the response is not stored. Where If-Match is supported, it makes retries safe."
        )
        raise KeyNotSupported(errors=[FieldError(message, header=HEADER)])
