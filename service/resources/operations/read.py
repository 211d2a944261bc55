"""`GET /orders/{id}`: one item, current or as of a time."""

from datetime import datetime
from typing import Any

from starlette.responses import Response

from service.http import problems
from service.http.content.preconditions import tags_of
from service.resources.columns.scalars import TIMESTAMP
from service.resources.columns.text import timestamp
from service.resources.documentation import ETAG, item_response, query, tags_header
from service.resources.engine import Engine
from service.resources.item_reader import Item
from service.resources.operations.operation import Call, Operation
from service.resources.requests.json_response import json_response
from service.resources.requests.parameters import typed


async def _read(call: Call) -> Response:
    engine, request, item_id = call.engine, call.request, call.item_id
    # RFC 9110, section 13.2.2, gives the order: If-Match first, then If-None-Match.
    matching = tags_of(request, "If-Match")
    unless = tags_of(request, "If-None-Match")
    if "as_of" in call.query:
        item = await _as_of(call, typed(call.query, "as_of", timestamp))
    else:
        item = await engine.read_item(item_id, request, matching, unless)
    if item is None:
        raise engine.missing()
    body, version = item
    if matching is not None and not engine.tags.matches(matching, version):
        raise problems.PreconditionFailed(matching.advice)
    headers = {"ETag": engine.tags.tag(version)}
    if unless is not None and engine.tags.matches_weakly(unless, version):
        return Response(status_code=304, headers=headers)
    return json_response(200, headers, body)


async def _as_of(call: Call, at: datetime) -> Item | None:
    engine = call.engine
    rows = await engine.run(engine.history.as_of, {"id": call.item_id, "at": TIMESTAMP.wire(at)})
    row = rows[0] if rows else None
    return None if row is None or row["gone"] else Item(row["body"].encode(), row["version"])


def _responses(engine: Engine) -> dict[int | str, dict[str, Any]]:
    return {
        **item_response(engine),
        304: {"description": "The client's copy is still good.", "headers": ETAG},
    }


READ = Operation(
    name="read",
    method="GET",
    suffix="/{id}",
    handle=_read,
    summary="Read {a_singular}",
    description="With `If-None-Match`, returns 304 if the client's copy is current.",
    query=("as_of",),
    responses=_responses,
    problems=(problems.PreconditionFailed,),
    parameters=lambda _: [
        query("as_of", {"type": "string", "format": "date-time"}, "The item as it was at this time."),
        tags_header("If-Match", required=False),
        tags_header("If-None-Match", required=False),
    ],
)
