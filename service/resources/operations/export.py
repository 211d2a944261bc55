"""`GET /orders/export`: the whole filtered list as newline-delimited JSON, in constant memory."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import asyncpg
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from service import clock
from service.database import DatabaseUnavailableError
from service.database.errors import CONNECTION_ERRORS, describe
from service.http import problems
from service.http.content.negotiation import require_acceptable
from service.http.middleware.state import state_of
from service.http.openapi import ALWAYS, responses_of
from service.ndjson import escape_separators
from service.resources.documentation import Documented, list_parameters
from service.resources.engine import Engine
from service.resources.lists.listing import ListQuery
from service.resources.operations.operation import Operation
from service.resources.requests.parameters import parse_query
from service.security.principals import Principal

# Client generators can read the second.
MEDIA_TYPES = ("application/x-ndjson", "text/plain")
ROWS = 500
_STALL = "SELECT set_config('idle_in_transaction_session_timeout', $1, true)"


async def export(engine: Engine, request: Request, _principal: Principal) -> Response:
    """One item a line, in the order of `sort`, out of one snapshot of the database."""
    query = engine.lister.read_all(parse_query(request.scope["query_string"], engine.lister.lists))
    media_type = require_acceptable(request, *MEDIA_TYPES)
    slots = engine.services.exports
    if slots.locked():
        raise problems.Unavailable("Too many exports are running.", headers={"Retry-After": "5"})
    if state_of(request.scope).head:
        answer = Response(media_type=media_type)
        del answer.headers["content-length"]  # which without reading the rows nobody knows
        return answer
    lines = _lines(engine, query, slots)
    first = await anext(lines, b"")  # what goes wrong before the first line is still answered as a problem
    return _Lines(first, lines, media_type)


class _Lines(StreamingResponse):
    """Ends the connection and the slot with the answer, also when the client goes away or the process ends."""

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
    """Items of a server-side cursor, some hundred at a time, on a connection of its own."""
    statement = engine.lister.statement(query.shape)
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
                        raise problems.Overtime("The export took longer than it may.")
                    yield escape_separators(b"".join(row["body"].encode() + b"\n" for row in rows))
        except asyncpg.PostgresError as error:
            raise engine.problem(error) from error
        except CONNECTION_ERRORS as error:
            raise DatabaseUnavailableError(describe(error)) from error


def _document(engine: Engine) -> Documented:
    plural = engine.resource.plural
    return {
        "summary": f"Export {plural}",
        "description": f"All {plural} that pass every filter, one JSON object per line. "
        "With `Accept: text/plain`, the same lines as plain text.",
        "status_code": 200,
        "response_model": None,
        "responses": {
            200: {
                "description": "One item a line.",
                "content": {media_type: {"schema": {"type": "string"}} for media_type in MEDIA_TYPES},
            },
            **responses_of(*ALWAYS),
        },
        "openapi_extra": {"parameters": list_parameters(engine, paged=False)},
    }


EXPORT = Operation(
    "export", "GET", "/export", writes=False, handle=export, document=_document, produces=MEDIA_TYPES
)
