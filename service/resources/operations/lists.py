"""`GET /orders`: one page of a list. Also `GET /customers/{id}/orders`, the same among one parent's items."""

import orjson
from starlette.requests import Request
from starlette.responses import Response

from service.http import problems
from service.http.openapi import ALWAYS, responses_of
from service.resources.documentation import ID, LINK, Documented, list_parameters
from service.resources.engine import Engine
from service.resources.lists.listing import ListQuery, Page, links
from service.resources.names import id_of_list_under
from service.resources.operations.operation import Operation
from service.resources.requests.idempotency import answer
from service.resources.requests.parameters import Query, parse_query
from service.security.principals import Principal


async def list_items(engine: Engine, request: Request, _principal: Principal) -> Response:
    """One page, with links to its neighbours."""
    given = _query_of(engine, request)
    return _respond(request, given, await _page(engine, engine.lister.read(given)))


def _query_of(engine: Engine, request: Request) -> Query:
    return parse_query(request.scope["query_string"], engine.lister.lists)


async def _page(engine: Engine, query: ListQuery) -> Page:
    total = await _total(engine, query) if query.count else None
    rows = await engine.run(engine.lister.statement(query.shape), query.arguments)
    return engine.lister.page(query, [row["body"] for row in rows], total)


def _respond(request: Request, given: Query, page: Page) -> Response:
    return answer(200, {"Link": links(request.url.path, given, page)}, page.body)


async def _total(engine: Engine, query: ListQuery) -> int:
    if query.count == "exact":
        return int((await engine.run(engine.lister.count(query.shape), query.arguments))[0][0])
    plan = (await engine.run(engine.lister.estimate(query.shape), query.arguments))[0][0]
    return int(orjson.loads(plan)[0]["Plan"]["Plan Rows"])


def list_under(parent: Engine, field: str) -> Operation:
    """The list of items whose `field` refers to one item of `parent`."""

    async def list_children(engine: Engine, request: Request, _principal: Principal) -> Response:
        parent_id = parent.item_id(request)
        given = _query_of(engine, request)
        if any(name.partition("__")[0] == field for name, _ in given.pairs()):
            raise problems.InvalidParameter(f"The path says the {field} already.")
        own = Query({**given.single, field: str(parent_id)}, given.lists)
        page = await _page(engine, engine.lister.read(own))
        if page.empty and not await parent.run(parent.read_one, {"id": parent_id}):
            raise parent.missing()
        return _respond(request, given, page)

    def document(engine: Engine) -> Documented:
        documented = _document(engine)
        parameters = [p for p in list_parameters(engine) if p["name"].partition("__")[0] != field]
        return {
            **documented,
            "summary": f"List {engine.resource.plural} of {parent.resource.a_singular}",
            "responses": {**documented["responses"], **responses_of(problems.NotFound)},
            "openapi_extra": {"parameters": [ID, *parameters]},
        }

    return Operation(
        "list",
        "GET",
        "",
        writes=False,
        handle=list_children,
        document=document,
        operation_id=lambda child: id_of_list_under(path=child.path, parent=parent.resource.singular),
    )


def _document(engine: Engine) -> Documented:
    resource = engine.resource
    return {
        "summary": f"List {resource.plural}",
        "description": f"One page of the {resource.plural} that pass every filter, in the order of `sort`.",
        "status_code": 200,
        "response_model": engine.schemas.page,
        "responses": {200: {"headers": LINK}, **responses_of(*ALWAYS)},
        "openapi_extra": {"parameters": list_parameters(engine)},
    }


LIST = Operation("list", "GET", "", writes=False, handle=list_items, document=_document)
