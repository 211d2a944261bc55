"""The parts of a signed token (RFC 7515, 3): read strictly, before anything in them is trusted."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from service.http.content import strict_json
from service.security.refusals import Reason, RefusedError

LONGEST_TOKEN = 8192
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")


def check_form(token: str) -> None:
    """Raise `RefusedError` for text that is too long for a token, or not one."""
    if len(token) > LONGEST_TOKEN:
        raise RefusedError(Reason.TOO_LARGE, f"{len(token)} characters")
    if not _SHAPE.match(token):
        raise RefusedError(Reason.MALFORMED)


def read_parts(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the header and the claims, both unverified. Raises `RefusedError` or `InvalidJson`."""
    header, claims = (_object(part) for part in token.split(".")[:2])
    return header, claims


def printable(value: Any) -> str:
    """Return an unverified value of a token, shortened and without line breaks."""
    return ascii(value)[:100]


def _object(part: str) -> Mapping[str, Any]:
    """A part of a token as a JSON object without duplicate names."""
    try:
        document = strict_json.parse(
            base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        )
    except (binascii.Error, ValueError):
        raise RefusedError(Reason.MALFORMED) from None
    if not isinstance(document, dict):
        raise RefusedError(Reason.MALFORMED)
    return document
