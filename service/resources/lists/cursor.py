"""Page cursors: opaque, signed, and bound to one list."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from service import clock
from service.http.problems import FieldError, InvalidCursor

KEY_SECONDS = 1.0  # between two reads of the keys
_TAG = 12  # bytes of the signature
_MOST_KEYS = 4
_KEPT = 256  # digests of lists: clients ask for the same lists again and again


@dataclass(frozen=True, slots=True)
class Cursor:
    """The sort values of the last row of a page, as in its JSON, and the direction to continue in."""

    values: tuple[Any, ...]
    backward: bool = False


class CursorCodec:
    """Writes and reads cursors.

    `current` returns the current keys: the first signs, all are accepted. Earlier keys are accepted until the process
    ends, so that clients can keep paging after a rotation.
    """

    def __init__(self, secret_key: str, *, current: Callable[[], Sequence[str]] | None = None) -> None:
        self._current = current
        self._keys = [_derived(secret_key)]
        self._read_at = float("-inf")

    def _accepted(self) -> list[bytes]:
        """Return the keys, newest first, refreshed every second."""
        now = clock.monotonic()
        if self._current is not None and now - self._read_at >= KEY_SECONDS:
            self._read_at = now
            keys = [*map(_derived, self._current()), *self._keys]
            self._keys = list(dict.fromkeys(keys))[:_MOST_KEYS]
        return self._keys

    def write(self, cursor: Cursor, *, bound_to: str) -> str:
        """Return the text of a cursor for the list that `bound_to` identifies."""
        payload = orjson.dumps([cursor.backward, *cursor.values])
        return (
            base64.urlsafe_b64encode(_tag(self._accepted()[0], payload, bound_to) + payload)
            .rstrip(b"=")
            .decode()
        )

    def read(self, text: str, *, bound_to: str) -> Cursor:
        """Return the cursor in `text`. Raises `InvalidCursor` if it was altered or belongs to another list."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _invalid() from None
        tag, payload = raw[:_TAG], raw[_TAG:]
        if not any(hmac.compare_digest(tag, _tag(key, payload, bound_to)) for key in self._accepted()):
            raise _invalid()
        backward, *values = orjson.loads(payload)
        return Cursor(tuple(values), backward)


def _derived(secret_key: str) -> bytes:
    return hashlib.sha256(b"slipway cursor\0" + secret_key.encode()).digest()


def _tag(key: bytes, payload: bytes, bound_to: str) -> bytes:
    signature = _started(key).copy()
    signature.update(_digest(bound_to) + payload)
    return signature.digest()[:_TAG]


@lru_cache(_MOST_KEYS)
def _started(key: bytes) -> hmac.HMAC:
    """Return a signature of nothing yet. OpenSSL takes longer to find its functions and to prepare a key than to sign a
    cursor."""
    return hmac.new(key, digestmod="sha256")


@lru_cache(_KEPT)
def _digest(bound_to: str) -> bytes:
    return hashlib.sha256(bound_to.encode()).digest()


def _invalid() -> InvalidCursor:
    message = "Send a cursor only with the filters and sort of the list that it came from."
    return InvalidCursor(errors=[FieldError(message, parameter="cursor")])
