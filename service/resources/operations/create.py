"""`POST /orders`: creates an item; with an Idempotency-Key only once, however often the request is repeated."""

from collections.abc import Awaitable
from functools import partial

import asyncpg
from starlette.responses import Response

from service.database.row_id import new_row_id
from service.resources.documentation import created_response
from service.resources.engine import new_values
from service.resources.guarded_rows import Run
from service.resources.operations.change import Arguments, apply_change
from service.resources.operations.operation import Call, Operation
from service.resources.requests.bodies import read_new
from service.resources.requests.idempotency import KeyedRequest, record_parameters, run_once
from service.resources.requests.json_response import JsonResponse

FIRST_VERSION = 1


async def _create(call: Call) -> Response:
    engine, request = call.engine, call.request
    values = new_values(engine, await read_new(request, engine.resource, engine.schemas), call.rows)
    keyed = call.keyed()
    item_id = new_row_id()
    location = f"{request.scope['path'].rstrip('/')}/{item_id}"
    first = {"Location": location, "ETag": engine.tags.tag(FIRST_VERSION)}
    # A response that needs another statement is stored after it.
    stores_at_once = keyed is not None and not engine.reads_changed
    extra = record_parameters(keyed, 201, first) if keyed else {}
    statement = engine.writer.create_once if stores_at_once else engine.writer.create

    def headers_of(row: asyncpg.Record) -> dict[str, str]:
        version = row["version"]  # hooks may have changed the item
        return first if version == FIRST_VERSION else {**first, "ETag": engine.tags.tag(version)}

    def work(run: Run, arguments: Arguments) -> Awaitable[list[asyncpg.Record]]:
        return run(statement, arguments | extra)

    async def store(keyed: KeyedRequest, connection: asyncpg.Connection, row: asyncpg.Record) -> None:
        await engine.services.records.store(connection, keyed, 201, headers_of(row), row["body"].encode())

    stored = None if keyed is None else partial(store, keyed)
    insert = partial(apply_change, call, "create", item_id, values, work, store=stored)
    row = await insert() if keyed is None else await run_once(engine.services.records, keyed, insert)
    if isinstance(row, Response):
        return row
    return JsonResponse(201, headers_of(row), row["body"].encode())


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
