"""Idempotency-Key: a repeated request gets the first one's answer, byte for byte, and has no effect of its own.
A header field tells the repeated answer from the first.

After draft-ietf-httpapi-idempotency-key-header; keys belong to the principal.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson
from starlette.requests import Request
from starlette.responses import Response

from service.database import Database
from service.http.handwritten.idempotency import HEADER, REPLAYED
from service.http.middleware.public_path import own_path
from service.http.problems import Duplicate, FieldError, KeyReused, MalformedRequest
from service.security.principals import Principal

_KEY = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"\Z|([\x21\x23-\x7e]{1,255})\Z')

_LOOK_UP = """
SELECT fingerprint, status, headers, body FROM idempotency_record
WHERE principal = $1 AND key = $2 AND created_at > now() - make_interval(secs => $3)
"""
_DROP_EXPIRED = """
DELETE FROM idempotency_record
WHERE principal = $1 AND key = $2 AND created_at <= now() - make_interval(secs => $3)
RETURNING key
"""
_STORE = """
INSERT INTO idempotency_record (principal, key, fingerprint, status, headers, body)
VALUES ($1, $2, $3, $4, $5, $6)
"""
_PURGE = """
DELETE FROM idempotency_record WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM idempotency_record WHERE created_at <= now() - make_interval(secs => $1) LIMIT $2
))
RETURNING key
"""


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request under a key. `fingerprint` tells the same request from another one under the same key."""

    principal: str
    key: str
    fingerprint: bytes


def keyed_request(request: Request, principal: Principal, body: bytes) -> KeyedRequest | None:
    """The key of a request, quoted or bare; None without one. Raises `MalformedRequest`."""
    values = request.headers.getlist(HEADER)
    if not values:
        return None
    match = _KEY.match(values[0].strip()) if len(values) == 1 else None
    if match is None:
        message = "One key of 1 to 255 visible ASCII characters."
        raise MalformedRequest(errors=[FieldError(message, header=HEADER)])
    quoted, bare = match.groups()
    key = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    digest = hashlib.sha256(
        b"\0".join([request.method.encode(), own_path(request.scope).encode(), body])
    ).digest()
    return KeyedRequest(principal.id, key, digest)


class IdempotencyStore:
    """The stored answers, kept for `hours`."""

    def __init__(self, database: Database, hours: float) -> None:
        self._database = database
        self._seconds = hours * 3600

    async def replay(self, keyed: KeyedRequest) -> Response | None:
        """The stored answer, marked as a repeated one; None when there is none.

        Raises `KeyReused` for another request under the key.
        """
        arguments = [keyed.principal, keyed.key, self._seconds]
        rows = await self._database.fetch(_LOOK_UP, arguments, reads=True)
        if not rows:
            return None
        row = rows[0]
        if row["fingerprint"] != keyed.fingerprint:
            raise KeyReused(errors=[FieldError("Send a new key with a new request.", header=HEADER)])
        headers = {**orjson.loads(row["headers"]), REPLAYED: "true"}
        return answer(row["status"], headers, row["body"].encode())

    async def store(
        self,
        connection: asyncpg.Connection,
        keyed: KeyedRequest,
        status: int,
        headers: dict[str, str],
        body: bytes,
    ) -> None:
        """Keep an answer, in the transaction of its effect. Raises `Duplicate` when there is one."""
        values = (keyed.principal, keyed.key, keyed.fingerprint, status, orjson.dumps(headers).decode())
        try:
            await connection.execute(_STORE, *values, body.decode())
        except asyncpg.UniqueViolationError as error:
            raise Duplicate from error

    async def drop_expired(self, keyed: KeyedRequest) -> bool:
        """Remove the record of this key if it has expired; whether there was one."""
        return bool(await self._database.fetch(_DROP_EXPIRED, [keyed.principal, keyed.key, self._seconds]))

    async def purge(self, batch: int = 5000) -> int:
        """Remove every expired record, a batch at a time; how many there were."""
        removed = 0
        while True:
            count = len(await self._database.fetch(_PURGE, [self._seconds, batch]))
            removed += count
            if count < batch:
                return removed


def parameters(keyed: KeyedRequest, status: int, headers: dict[str, str]) -> dict[str, Any]:
    """The parameters of a statement that stores the answer along with its effect."""
    return {
        "record_key": keyed.key,
        "record_fingerprint": keyed.fingerprint,
        "record_status": status,
        "record_headers": orjson.dumps(headers).decode(),
    }


def answer(status: int, headers: dict[str, str], body: bytes) -> Response:
    """Build a response that may be stored; all are built here, so that a replay has the same content and fields."""
    return Response(body, status, headers, media_type="application/json")
