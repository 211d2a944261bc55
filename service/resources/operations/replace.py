"""`PUT /orders/{id}`: replaces an item, or creates one under a known id."""

from collections.abc import Awaitable
from typing import Any

import asyncpg
from starlette.responses import Response

from service.http import problems
from service.http.content.preconditions import conditions_of, guard_of
from service.resources.documentation import created_response, item_response, tags_header
from service.resources.engine import Engine, new_values, values_of
from service.resources.guarded_rows import Run
from service.resources.operations.change import Arguments, apply_change
from service.resources.operations.guarded import update_item
from service.resources.operations.operation import Call, Operation
from service.resources.requests.bodies import read_new
from service.resources.requests.json_response import JsonResponse


async def _replace(call: Call) -> Response:
    engine, request = call.engine, call.request
    matching, unless = conditions_of(request)
    creates = unless is not None and unless.any and matching is None
    guard = guard_of(request, engine.tags, required=not creates)
    item = await read_new(request, engine.resource, engine.schemas)
    if creates:
        if not engine.resource.creates_by_id:
            return await _refuse_to_create(call)
        return await _create(call, new_values(engine, item, call.rows))
    # PUT could have created the item, so the precondition decides (RFC 9110, section 13.2.1).
    values = values_of(item, engine.resource.input_fields)
    return await update_item(call, engine.writer.replace, values, guard, absent=_no_item)


def _no_item() -> problems.PreconditionFailed:
    return problems.PreconditionFailed("No item has this id.")


async def _refuse_to_create(call: Call) -> Response:
    engine = call.engine
    if engine.resource.owner is not None and await engine.run(
        engine.read_one, {"id": call.item_id, **call.rows.arguments}
    ):
        raise problems.PreconditionFailed("An item with this id already exists.")
    raise engine.missing()


async def _create(call: Call, values: dict[str, Any]) -> Response:
    engine, request, item_id = call.engine, call.request, call.row_id

    def work(run: Run, arguments: Arguments) -> Awaitable[list[asyncpg.Record]]:
        return run(engine.writer.create, arguments)

    try:
        row = await apply_change(call, "create", item_id, values, work)
    except problems.Duplicate as error:
        if [e.pointer for e in error.errors] != ["/id"]:
            raise
        if await engine.run(engine.read_one, {"id": item_id}):
            raise problems.PreconditionFailed("An item with this id already exists.") from error
        raise problems.Conflict("An item with this id was deleted; restore it instead.") from error
    headers = {"Location": request.scope["path"], "ETag": engine.tags.tag(row["version"])}
    return JsonResponse(201, headers, row["body"].encode())


def _responses(engine: Engine) -> dict[int | str, dict[str, Any]]:
    if not engine.resource.creates_by_id:
        return item_response(engine)
    created = {"description": "The item was created.", **created_response(engine)[201]}
    return {**item_response(engine), 201: {**created, "model": engine.schemas.read}}


REPLACE = Operation(
    name="replace",
    method="PUT",
    suffix="/{id}",
    handle=_replace,
    summary="Replace {a_singular}",
    description="With `If-Match`, replaces the item; with `If-None-Match: *`, creates it under this id.",
    body=lambda engine: engine.schemas.create,
    responses=_responses,
    problems=(problems.PreconditionFailed, problems.PreconditionRequired),
    parameters=lambda _: [tags_header(name, required=False) for name in ("If-Match", "If-None-Match")],
)
