"""`POST /orders`: creates an item; with an Idempotency-Key only once, however often the request is repeated."""

from functools import partial

import asyncpg
from starlette.responses import Response

from service.http.content.body import content_of
from service.models.uuid7 import uuid7
from service.resources.documentation import created_response
from service.resources.engine import new_values
from service.resources.guarded_rows import Run
from service.resources.operations.change import Arguments, apply_change
from service.resources.operations.operation import Call, Operation
from service.resources.requests.bodies import read_new
from service.resources.requests.idempotency import KeyedRequest, keyed_request, record_parameters, run_once
from service.resources.requests.json_response import json_response

FIRST_VERSION = 1


async def _create(call: Call) -> Response:
    engine, request = call.engine, call.request
    values = new_values(engine, await read_new(request, engine.resource, engine.schemas), call.rows)
    keyed = keyed_request(request, call.principal, await content_of(request), call.rows, engine.unseen)
    item_id = uuid7()
    location = f"{request.scope['path'].rstrip('/')}/{item_id}"

    def headers_of(version: int) -> dict[str, str]:
        return {"Location": location, "ETag": engine.tags.tag(version)}

    first = headers_of(FIRST_VERSION)
    # A response that needs another statement is stored after it.
    stores_at_once = keyed is not None and not engine.reads_changed
    extra = record_parameters(keyed, 201, first) if keyed else {}
    statement = engine.writer.create_once if stores_at_once else engine.writer.create

    async def work(run: Run, arguments: Arguments) -> asyncpg.Record:
        return (await run(statement, arguments | extra))[0]

    async def store(keyed: KeyedRequest, connection: asyncpg.Connection, row: asyncpg.Record) -> None:
        headers = headers_of(row["version"])
        await engine.services.records.store(connection, keyed, 201, headers, row["body"].encode())

    async def insert() -> Response:
        stored = None if keyed is None else partial(store, keyed)
        row = await apply_change(call, "create", item_id, values, work, store=stored)
        version = row["version"]  # hooks may have changed the item
        headers = first if version == FIRST_VERSION else headers_of(version)
        return json_response(201, headers, row["body"].encode())

    return await insert() if keyed is None else await run_once(engine.services.records, keyed, insert)


CREATE = Operation(
    name="create",
    method="POST",
    handle=_create,
    summary="Create {a_singular}",
    description="Creates {a_singular} with an id that the service generates.",
    takes_key=True,
    body=lambda engine: engine.schemas.create,
    status=201,
    responses=created_response,
)
