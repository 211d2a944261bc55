"""`POST /orders`: a new item, once, however often the request is repeated under one key."""

from starlette.requests import Request
from starlette.responses import Response

from service.http.content.body import read_body
from service.http.openapi import ALWAYS, WITH_BODY, responses_of
from service.models.uuid7 import uuid7
from service.resources.documentation import ETAG, IDEMPOTENCY_KEY, LOCATION, REPLAYED, Documented
from service.resources.engine import Engine, values_of
from service.resources.once import once
from service.resources.operations.operation import Operation
from service.resources.requests.idempotency import answer, keyed_request, parameters
from service.resources.requests.parameters import query_of, refuse_others
from service.resources.schemas.links import links_of_item
from service.security.principals import Principal

FIRST_VERSION = 1


async def create(engine: Engine, request: Request, principal: Principal) -> Response:
    """The new item, where it is and its tag. With an Idempotency-Key the answer is stored with the row."""
    refuse_others(query_of(request))
    item = await read_body(request, engine.schemas.create)
    values = values_of(item, engine.resource.own_fields)
    keyed = keyed_request(request, principal, await request.body())
    item_id = uuid7()
    headers = {
        "Location": f"{request.url.path.rstrip('/')}/{item_id}",
        "ETag": engine.tags.tag(FIRST_VERSION),
    }
    extra = parameters(keyed, 201, headers) if keyed else {}
    statement = engine.writer.create_once if keyed else engine.writer.create

    async def insert() -> Response:
        async with engine.change(request, principal, "create", item_id, values) as (run, arguments):
            rows = await run(statement, {**arguments, **extra})
        return answer(201, headers, rows[0]["body"].encode())

    return await insert() if keyed is None else await once(engine, keyed, insert)


def _document(engine: Engine) -> Documented:
    return {
        "summary": f"Create {engine.resource.a_singular}",
        "description": f"Stores a new {engine.resource.singular} under an id that the service makes.",
        "status_code": 201,
        "response_model": engine.schemas.read,
        "responses": {
            201: {
                "headers": {**LOCATION, **ETAG, **REPLAYED},
                **links_of_item(engine.resource, in_body=True),
            },
            **responses_of(*ALWAYS, *WITH_BODY),
        },
        "openapi_extra": {"parameters": [IDEMPOTENCY_KEY]},
    }


CREATE = Operation(
    "create",
    "POST",
    "",
    writes=True,
    handle=create,
    takes_key=True,
    document=_document,
    body=lambda engine: engine.schemas.create,
)
