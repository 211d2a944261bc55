"""The floor: the statements that the API needs, behind a bare ASGI function."""

import os
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import asyncpg
import orjson
from starlette.types import Receive, Scope, Send

from service.models.uuid7 import uuid7

SHOWN = (
    "id, sku, name, description, price::text, stock, status, tags, attributes, shelf_id, created_at, updated_at, "
    "created_by, updated_by, version"
)
READ = (
    f"SELECT version, row_to_json(r)::text AS body FROM (SELECT {SHOWN} FROM tests_article WHERE id = $1) r"
)
# The price of the table: `price` alone would be the text, and no index has its order.
LIST = (
    f"SELECT row_to_json(r)::text AS body FROM (SELECT {SHOWN} FROM tests_article "
    "WHERE deleted_at IS NULL AND status = $1 ORDER BY tests_article.price, id LIMIT $2) r"
)
CREATE = (
    "INSERT INTO tests_article (id, sku, name, price, stock, description, status, tags, attributes, shelf_id, "
    "created_by, updated_by) VALUES ($1, $2, $3, $4::text::numeric, $5, '', 'draft', '{}', '{}', $6, 'bench', 'bench') "
    f"RETURNING version, (SELECT row_to_json(r)::text FROM (SELECT {SHOWN}) r) AS body"
)
UPDATE = (
    "UPDATE tests_article SET stock = $3, version = version + 1, updated_at = now() "
    "WHERE id = $1 AND version = $2 AND deleted_at IS NULL "
    f"RETURNING version, (SELECT row_to_json(r)::text FROM (SELECT {SHOWN}) r) AS body"
)

# What a cache would have to look up.
CACHED = b'{"id":"018f0000-0000-7000-8000-000000000001","slug":"bench","name":"Bench","version":1}'
UNCHANGED = [(b"etag", b'"1"')]
FOUND = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(CACHED)), *UNCHANGED]


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    __slots__ = ()

    def get_reset_query(self) -> str:
        return ""


class App:
    """GET, PATCH /api/v1/articles/{id}; GET, POST /api/v1/articles; GET /api/v1/shelves/{id} without the database."""

    pool: asyncpg.Pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["path"].startswith("/api/v1/shelves/"):
            known = any(name == b"if-none-match" for name, _ in scope["headers"])
            status, headers, body = (304, UNCHANGED, b"") if known else (200, FOUND, CACHED)
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        item_id = scope["path"][len("/api/v1/articles/") :]
        if scope["method"] == "GET":
            status, version, body = await (self._read(item_id) if item_id else self._list(scope))
        else:
            given = orjson.loads((await receive())["body"])
            status, version, body = await (
                self._update(scope, item_id, given) if item_id else self._create(given)
            )
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        if version:
            headers.append((b"etag", b'"%d"' % version))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self.pool = await asyncpg.create_pool(
            os.environ["DATABASE_URL"],
            min_size=8,
            max_size=8,
            connection_class=_Connection,
            max_queries=10**9,
        )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.pool.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _read(self, item_id: str) -> tuple[int, int, bytes]:
        row = await self.pool.fetchrow(READ, UUID(item_id))
        return (200, row["version"], row["body"].encode()) if row else (404, 0, b"{}")

    async def _list(self, scope: Scope) -> tuple[int, int, bytes]:
        given = parse_qs(scope["query_string"].decode())
        rows = await self.pool.fetch(LIST, given["status"][0], int(given["limit"][0]))
        return 200, 0, b'{"items":[' + ",".join([row["body"] for row in rows]).encode() + b"]}"

    async def _create(self, given: dict[str, Any]) -> tuple[int, int, bytes]:
        values = given["sku"], given["name"], given["price"], given["stock"], UUID(given["shelf_id"])
        row = await self.pool.fetchrow(CREATE, uuid7(), *values)
        return 201, row["version"], row["body"].encode()

    async def _update(self, scope: Scope, item_id: str, given: dict[str, Any]) -> tuple[int, int, bytes]:
        tag = next(value for name, value in scope["headers"] if name == b"if-match")
        row = await self.pool.fetchrow(UPDATE, UUID(item_id), int(tag.strip(b'"')), given["stock"])
        return (200, row["version"], row["body"].encode()) if row else (412, 0, b"{}")


app = App()
