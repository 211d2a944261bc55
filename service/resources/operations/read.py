"""`GET /orders/{id}`: one item, current or as of a time."""

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from service.http import problems
from service.http.content.preconditions import Tags, conditions_of, digest, tag_of
from service.http.problems import FieldError, InvalidParameter
from service.resources.columns.scalars import TIMESTAMP
from service.resources.columns.text import timestamp
from service.resources.documentation import ETAG, expand_parameters, item_response, query, tags_header
from service.resources.engine import Engine
from service.resources.item_reader import Item
from service.resources.operations.operation import Call, Operation
from service.resources.relations.expanded_items import ExpandedItem
from service.resources.relations.expansions import EXPAND
from service.resources.requests.json_response import JsonResponse
from service.resources.requests.parameters import Query, parse_query, refuse_others, typed


async def _read(call: Call) -> Response:
    engine, request = call.engine, call.request
    given = parse_query(request.scope["query_string"], engine.expansions.parameters)
    refuse_others(given.single, *(() if engine.resource.is_view else ("as_of",)))
    # RFC 9110, section 13.2.2, gives the order: If-Match first, then If-None-Match.
    matching, unless = conditions_of(request)
    item: Item | ExpandedItem | None
    if "as_of" in given.single:
        item = await _as_of(call, given)
    elif names := given.lists.get(EXPAND):
        item = await _expanded(call, names)
    else:
        item = await engine.read_item(call.row_id, call.rows, request, matching, unless)
    if item is None:
        raise engine.missing()
    others = item.others if isinstance(item, ExpandedItem) else ""
    if engine.resource.is_view:  # its rows have no versions
        tag = tag_of(item.body)
    elif engine.resource.computed:  # they change without a new version
        tag = engine.tags.tag(item.version, digest(item.body)[:8])
    else:
        tag = engine.tags.tag(item.version, others)
    return _respond(item, tag, matching, unless)


def _respond(item: Item | ExpandedItem, tag: str, matching: Tags | None, unless: Tags | None) -> Response:
    if matching is not None and not matching.match(tag):
        raise problems.PreconditionFailed(matching.advice)
    if unless is not None and unless.match_weakly(tag):
        return Response(status_code=304, headers={"ETag": tag})
    return JsonResponse(200, {"ETag": tag}, item.body)


async def _as_of(call: Call, given: Query) -> Item | None:
    if EXPAND in given.lists:
        error = FieldError("Other items are shown as they are now, so not with as_of.", parameter=EXPAND)
        raise InvalidParameter(errors=[error])
    at = TIMESTAMP.wire(typed(given.single, "as_of", timestamp))
    arguments = {**call.rows.arguments, "id": call.item_id, "at": at}
    rows = await call.engine.run(call.engine.history.as_of, arguments)
    row = rows[0] if rows else None
    return None if row is None or row["gone"] else Item(row["body"].encode(), row["version"])


async def _expanded(call: Call, names: Sequence[str]) -> ExpandedItem | None:
    engine = call.engine
    expansions = engine.expansions.asked(names, call.principal)
    arguments = {"id": call.item_id, **call.rows.arguments}
    rows = await engine.run(engine.expanded.statement(expansions), arguments)
    return engine.expanded.item(rows[0], expansions) if rows else None


def _responses(engine: Engine) -> dict[int | str, dict[str, Any]]:
    return {
        **item_response(engine),
        304: {"description": "The client's copy is still good.", "headers": ETAG},
    }


def _as_of_parameter(engine: Engine) -> list[dict[str, Any]]:
    if engine.resource.is_view:
        return []
    return [query("as_of", {"type": "string", "format": "date-time"}, "The item as it was at this time.")]


READ = Operation(
    name="read",
    method="GET",
    suffix="/{id}",
    handle=_read,
    summary="Read {a_singular}",
    description="With `If-None-Match`, returns 304 if the client's copy is current.",
    query=None,
    responses=_responses,
    problems=(problems.PreconditionFailed,),
    parameters=lambda engine: [
        *_as_of_parameter(engine),
        *expand_parameters(engine),
        tags_header("If-Match", required=False),
        tags_header("If-None-Match", required=False),
    ],
)
