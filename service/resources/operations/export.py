"""`GET /orders/export`: the filtered list as newline-delimited JSON, in constant memory."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any

import asyncpg
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from service import clock
from service.database import DatabaseUnavailableError
from service.database.errors import CONNECTION_ERRORS, describe
from service.http import problems
from service.http.content.negotiation import require_acceptable
from service.http.middleware.state import state_of
from service.ndjson import escape_separators
from service.resources.documentation import list_parameters
from service.resources.engine import Engine
from service.resources.lists.parser import ListQuery
from service.resources.operations.operation import Call, Operation

# Client generators support the second.
MEDIA_TYPES = ("application/x-ndjson", "text/plain")
ROWS = 500
_STALL = "SELECT set_config('idle_in_transaction_session_timeout', $1, true)"


async def _export(call: Call) -> Response:
    """Stream one item a line, in the order of `sort`, from one snapshot of the database."""
    engine, request = call.engine, call.request
    parser = engine.lister.parser
    given = parser.split(request.scope["query_string"])
    query = parser.parse_all(given, call.rows, engine.lister.expansions(given, call.principal))
    media_type = require_acceptable(request, *MEDIA_TYPES)
    slots = engine.services.exports
    if slots.locked():
        raise problems.Unavailable("Too many exports are running.", headers={"Retry-After": "5"})
    if state_of(request.scope).head:
        response = Response(media_type=media_type)
        del response.headers["content-length"]  # unknown without reading the rows
        return response
    lines = _lines(engine, query, slots)
    first = await anext(lines, b"")  # an error before the first line is answered as a problem
    return _Lines(first, lines, media_type)


class _Lines(StreamingResponse):
    """Releases the connection and the slot at the end, also if the client disconnects or the process stops."""

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes], media_type: str) -> None:
        self._rest, self._all = rest, _chain(first, rest)
        super().__init__(self._all, media_type=media_type)

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self._rest), aclosing(self._all):
            await super().stream_response(send)


async def _chain(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    yield first
    async for lines in rest:
        yield lines


async def _lines(engine: Engine, query: ListQuery, slots: asyncio.Semaphore) -> AsyncGenerator[bytes]:
    """Yield the items in batches, from a server-side cursor on a dedicated connection."""
    statement = engine.lister.statements.rows(query.shape)
    stall = f"{engine.services.sizes.export_stall * 1000:.0f}"
    deadline = clock.monotonic() + engine.services.sizes.export_timeout
    async with slots:
        try:
            async with (
                engine.services.database.dedicated() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                await connection.execute(_STALL, stall)
                cursor = await connection.cursor(statement.sql, *statement.arguments(query.arguments))
                while rows := await cursor.fetch(ROWS):
                    if clock.monotonic() > deadline:
                        raise problems.Overtime("The export took longer than allowed.")
                    yield escape_separators(b"".join(row["body"].encode() + b"\n" for row in rows))
        except asyncpg.PostgresError as error:
            raise engine.problem(error) from error
        except CONNECTION_ERRORS as error:
            raise DatabaseUnavailableError(describe(error)) from error


def _responses(_: Engine) -> dict[int | str, dict[str, Any]]:
    content = {media_type: {"schema": {"type": "string"}} for media_type in MEDIA_TYPES}
    return {200: {"description": "One item a line.", "content": content}}


EXPORT = Operation(
    name="export",
    method="GET",
    suffix="/export",
    handle=_export,
    summary="Export {plural}",
    description="All {plural} that match every filter, one JSON object per line. With `Accept: text/plain`, the same "
    "lines as plain text.",
    query=None,
    response_model=lambda _: None,
    produces=MEDIA_TYPES,
    responses=_responses,
    parameters=partial(list_parameters, paged=False),
)
