"""`GET /orders`: one page of a list. `GET /customers/{id}/orders`: the same for the items that refer to one parent."""

from dataclasses import replace
from typing import Any

import orjson
from starlette.responses import Response

from service import actor
from service.http import problems
from service.resources.documentation import LINK, list_parameters
from service.resources.engine import Engine
from service.resources.lists.page import Page, links
from service.resources.lists.parser import ListQuery
from service.resources.names import id_of_list_under
from service.resources.operations.operation import Call, Operation
from service.resources.requests.json_response import JsonResponse


async def _list(call: Call) -> Response:
    engine, raw = call.engine, call.request.scope["query_string"]
    given = engine.lister.parser.split(raw)
    query = engine.lister.parser.read(raw, given, call.rows, engine.lister.expansions(given, call.principal))
    return _respond(call, query, await _page(engine, query))


async def _page(engine: Engine, query: ListQuery) -> Page:
    lister = engine.lister
    total = await _total(engine, query) if query.count else None
    rows = await engine.run(lister.statements.page(query.shape), query.arguments)
    return lister.pages.build(query, rows[0], total)


def _respond(call: Call, query: ListQuery, page: Page) -> Response:
    return JsonResponse(200, {"Link": links(call.request.scope["path"], query, page)}, page.body)


async def _total(engine: Engine, query: ListQuery) -> int:
    statements = engine.lister.statements
    # The planner's statistics are about the rows of all owners, also where row-level security hides them.
    hidden = engine.resource.owner is not None and actor.seen_rows() is not None
    if query.count == "exact" or query.shape.own or hidden:
        return int((await engine.run(statements.count(query.shape), query.arguments))[0][0])
    plan = (await engine.run(statements.estimate(query.shape), query.arguments))[0][0]
    return int(orjson.loads(plan)[0]["Plan"]["Plan Rows"])


def _responses(_: Engine) -> dict[int | str, dict[str, Any]]:
    return {200: {"headers": LINK}}


LIST = Operation(
    name="list",
    method="GET",
    handle=_list,
    summary="List {plural}",
    description="One page of the {plural} that match every filter, ordered by `sort`.",
    query=None,
    response_model=lambda engine: engine.schemas.page,
    responses=_responses,
    parameters=list_parameters,
)


def list_under(parent: Engine, field: str) -> Operation:
    """Return the operation that lists items whose `field` refers to one item of `parent`."""

    async def list_children(call: Call) -> Response:
        engine, parent_id = call.engine, call.item_id
        given = engine.lister.parser.split(call.request.scope["query_string"])
        if any(name.partition("__")[0] == field for name, _ in given.pairs()):
            raise problems.InvalidParameter(f"The path already specifies {field}.")
        expand = engine.lister.expansions(given, call.principal)
        query = engine.lister.parser.parse(given, call.rows, expand, **{field: str(parent_id)})
        page = await _page(engine, query)
        if page.empty and not await parent.run(parent.read_one, {"id": parent_id, **call.rows.arguments}):
            raise parent.missing()
        return _respond(call, query, page)

    def parameters(engine: Engine) -> list[dict[str, Any]]:
        return [p for p in list_parameters(engine) if p["name"].partition("__")[0] != field]

    return replace(
        LIST,
        prefix=f"/{parent.resource.path}/{{id}}",
        handle=list_children,
        summary=f"List {{plural}} of {parent.resource.a_singular}",
        parameters=parameters,
        operation_id=lambda child: id_of_list_under(path=child.path, parent=parent.resource.singular),
    )
