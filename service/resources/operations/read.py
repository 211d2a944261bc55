"""`GET /orders/{id}`: one item, as it is or as it was."""

from starlette.requests import Request
from starlette.responses import Response

from service.http import problems
from service.http.openapi import ALWAYS, responses_of
from service.resources.columns.scalars import TIMESTAMP
from service.resources.columns.text import timestamp
from service.resources.documentation import ETAG, ID, Documented, query, tags_header
from service.resources.engine import Engine
from service.resources.operations.operation import Operation
from service.resources.requests import preconditions
from service.resources.requests.idempotency import answer
from service.resources.requests.parameters import query_of, refuse_others, typed
from service.resources.schemas.links import links_of_item
from service.security.principals import Principal


async def read(engine: Engine, request: Request, _principal: Principal) -> Response:
    """The item with its tag; 304 when `If-None-Match` has it already (RFC 9110, 13.2.2 gives the order)."""
    given = refuse_others(query_of(request), "as_of")
    item_id = engine.item_id(request)
    matching = preconditions.tags_of(request, "If-Match")
    unless = preconditions.tags_of(request, "If-None-Match")
    if "as_of" in given:
        at = typed(given, "as_of", timestamp)
        rows = await engine.run(engine.historian.as_of, {"id": item_id, "at": TIMESTAMP.wire(at)})
        rows = [row for row in rows if not row["gone"]]
    else:
        rows = await engine.run(engine.read_one, {"id": item_id})
    if not rows:
        raise engine.missing()
    body, version = rows[0]["body"], rows[0]["version"]
    if matching is not None and not engine.tags.matches(matching, version):
        raise problems.PreconditionFailed(matching.advice)
    headers = {"ETag": engine.tags.tag(version)}
    if unless is not None and engine.tags.matches_weakly(unless, version):
        return Response(status_code=304, headers=headers)
    return answer(200, headers, body.encode())


def _document(engine: Engine) -> Documented:
    return {
        "summary": f"Read {engine.resource.a_singular}",
        "description": "With `If-None-Match`, 304 when the client's copy is still good.",
        "status_code": 200,
        "response_model": engine.schemas.read,
        "responses": {
            200: {"headers": ETAG, **links_of_item(engine.resource, in_body=False)},
            304: {"description": "The client's copy is still good.", "headers": ETAG},
            **responses_of(*ALWAYS, problems.NotFound, problems.PreconditionFailed),
        },
        "openapi_extra": {
            "parameters": [
                ID,
                query("as_of", {"type": "string", "format": "date-time"}, "The item as it was at this time."),
                tags_header("If-Match", required=False),
                tags_header("If-None-Match", required=False),
            ]
        },
    }


READ = Operation("read", "GET", "/{id}", writes=False, handle=read, document=_document)
