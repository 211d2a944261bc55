"""Page cursors: opaque, signed, and bound to the list that they were made for."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

import orjson

from service.http.problems import FieldError, InvalidCursor

_TAG = 12  # bytes of the signature


@dataclass(frozen=True, slots=True)
class Cursor:
    """The sort values of the row where a page ended, as in its JSON, and which way to go from there."""

    values: tuple[Any, ...]
    backward: bool = False


class CursorCodec:
    """Writes and reads cursors. Changing the key makes all cursors invalid, which clients mend by starting anew."""

    def __init__(self, secret_key: str) -> None:
        self._key = hashlib.sha256(b"slipway cursor\0" + secret_key.encode()).digest()

    def write(self, cursor: Cursor, *, bound_to: str) -> str:
        """The text of a cursor for the list `bound_to`: the resource, its filters and its sort."""
        payload = orjson.dumps([cursor.backward, *cursor.values])
        return base64.urlsafe_b64encode(self._tag(payload, bound_to) + payload).rstrip(b"=").decode()

    def read(self, text: str, *, bound_to: str) -> Cursor:
        """The cursor in `text`. Raises `InvalidCursor` for one that was changed, or made for another list."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _invalid() from None
        tag, payload = raw[:_TAG], raw[_TAG:]
        if not hmac.compare_digest(tag, self._tag(payload, bound_to)):
            raise _invalid()
        backward, *values = orjson.loads(payload)
        return Cursor(tuple(values), backward)

    def _tag(self, payload: bytes, bound_to: str) -> bytes:
        message = hashlib.sha256(bound_to.encode()).digest() + payload
        return hmac.new(self._key, message, hashlib.sha256).digest()[:_TAG]


def _invalid() -> InvalidCursor:
    return InvalidCursor(
        errors=[
            FieldError("Use a cursor only with the filters and sort that it came from.", parameter="cursor")
        ]
    )
