"""Reads the Idempotency-Key of a request."""

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from starlette.requests import Request

from service.http.handwritten.refuse_idempotency_key import HEADER
from service.http.middleware.public_path import own_path
from service.http.middleware.state import KEY, RequestState
from service.http.problems import FieldError, MalformedRequest
from service.resources.statements.ownership import Rows
from service.security.principals import Principal

_KEY = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"\Z|([\x21\x23-\x7e]{1,255})\Z')
_FIELD = HEADER.lower().encode()

SEPARATOR = "\x1f"  # in no principal


class KeyedRequest(NamedTuple):
    """A request with a key. `fingerprint` distinguishes it from another request with the same key."""

    principal: str
    key: str
    fingerprint: bytes


def keyed_request(
    request: Request, principal: Principal, rows: Rows, unseen: Sequence[str] = ()
) -> KeyedRequest | None:
    """Return the key of a request whose content has been read, quoted or bare; None without one. Raises
    `MalformedRequest`.

    A key belongs to the principal and to the rows that it sees: one subject may act for several tenants. `unseen` are
    the fields that the response lacks for want of a scope: with other scopes it is another request.
    """
    state: RequestState = request.scope[KEY]
    values = state.fields.get(_FIELD)
    if not values:
        return None
    match = _KEY.match(values[0].decode("latin-1").strip()) if len(values) == 1 else None
    if match is None:
        message = "One key of 1 to 255 visible ASCII characters."
        raise MalformedRequest(errors=[FieldError(message, header=HEADER)])
    quoted, bare = match.groups()
    key = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    parts = [request.scope["method"].encode(), own_path(request.scope).encode(), state.content or b""]
    if unseen:
        parts.append(",".join(unseen).encode())
    digest = hashlib.sha256(b"\0".join(parts)).digest()
    owner = SEPARATOR.join((principal.id, *rows.bound_to)) if rows.arguments else principal.id
    return KeyedRequest(owner, key, digest)
