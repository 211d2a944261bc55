"""Stores the responses of requests with an Idempotency-Key."""

from typing import Any

import asyncpg
import orjson
from starlette.responses import Response

from service.database import Database
from service.http.handwritten.refuse_idempotency_key import HEADER, REPLAYED
from service.http.problems import Duplicate, FieldError, KeyReused
from service.resources.requests.idempotency.idempotency_key import KeyedRequest
from service.resources.requests.json_response import JsonResponse

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


class IdempotencyStore:
    """The stored responses, kept for `hours`."""

    def __init__(self, database: Database, hours: float) -> None:
        self._database = database
        self._seconds = hours * 3600

    async def replay(self, keyed: KeyedRequest) -> Response | None:
        """Return the stored response, marked as replayed; None if nothing is stored.

        Raises `KeyReused` for another request with the key.
        """
        arguments = [keyed.principal, keyed.key, self._seconds]
        rows = await self._database.fetch(_LOOK_UP, arguments, reads=True)
        if not rows:
            return None
        row = rows[0]
        if row["fingerprint"] != keyed.fingerprint:
            raise KeyReused(errors=[FieldError("Use a new key for a new request.", header=HEADER)])
        headers = {**orjson.loads(row["headers"]), REPLAYED: "true"}
        return JsonResponse(row["status"], headers, row["body"].encode())

    async def store(
        self,
        connection: asyncpg.Connection,
        keyed: KeyedRequest,
        status: int,
        headers: dict[str, str],
        body: bytes,
    ) -> None:
        """Store a response, in the transaction of its effect. Raises `Duplicate` if the key has one."""
        values = (keyed.principal, keyed.key, keyed.fingerprint, status, orjson.dumps(headers).decode())
        try:
            await connection.execute(_STORE, *values, body.decode())
        except asyncpg.UniqueViolationError as error:
            raise Duplicate from error

    async def drop_expired(self, keyed: KeyedRequest) -> bool:
        """Remove the record of this key if it has expired. Return whether it was removed."""
        return bool(await self._database.fetch(_DROP_EXPIRED, [keyed.principal, keyed.key, self._seconds]))

    async def purge(self, batch: int = 5000) -> int:
        """Remove expired records in batches. Return how many were removed."""
        removed = 0
        while True:
            count = len(await self._database.fetch(_PURGE, [self._seconds, batch]))
            removed += count
            if count < batch:
                return removed


def record_parameters(keyed: KeyedRequest, status: int, headers: dict[str, str]) -> dict[str, Any]:
    """Return the parameters of a statement that stores the response along with its effect."""
    return {
        "record_principal": keyed.principal,
        "record_key": keyed.key,
        "record_fingerprint": keyed.fingerprint,
        "record_status": status,
        "record_headers": orjson.dumps(headers).decode(),
    }
