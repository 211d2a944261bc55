"""The Idempotency-Key where nobody keeps answers: refused, since a client that sends one relies on it."""

from fastapi import Request

from service.http.problems import FieldError, KeyNotSupported

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, 9.2.1: to repeat one has no effect anyway


def refuse_key(request: Request) -> None:
    """Raises `KeyNotSupported` for a request that would change something and has a key."""
    if request.method not in _SAFE and HEADER in request.headers:
        message = "Send no key here: the answer is not kept. Where If-Match is taken, it guards repeats."
        raise KeyNotSupported(errors=[FieldError(message, header=HEADER)])
