"""`POST /orders/{id}/ship`: an action of a resource, in one transaction with the lock on its item."""

import inspect
from functools import partial

from pydantic import BaseModel
from starlette.responses import Response

from service.http import problems
from service.http.content.body import content_of, read_body
from service.http.content.preconditions import Guard, guard_of
from service.resources.actions.run_action import ActionRun
from service.resources.declaration import Action, RestResource
from service.resources.documentation import tags_header
from service.resources.names import snake
from service.resources.operations.operation import Call, Operation
from service.resources.requests.idempotency import KeyedRequest, run_once
from service.resources.requests.json_response import JsonResponse
from service.resources.retries import retry_rolled_back
from service.resources.units.engine_unit import EngineUnit


async def _act(action: Action, call: Call) -> Response:
    engine, request = call.engine, call.request
    guard = guard_of(request, engine.tags, required=action.needs_tag)
    body = None if action.body is None else await read_body(request, action.body)
    await content_of(request)
    keyed = call.keyed()

    async def effect() -> Response:
        response, unit = await retry_rolled_back(partial(_in_transaction, action, call, guard, body, keyed))
        await unit.after_commit()
        return response

    return await effect() if keyed is None else await run_once(engine.services.records, keyed, effect)


async def _in_transaction(
    action: Action, call: Call, guard: Guard, body: BaseModel | None, keyed: KeyedRequest | None
) -> tuple[Response, EngineUnit]:
    engine = call.engine
    async with engine.transaction() as connection:
        unit = call.unit_on(connection)
        row, change = await ActionRun(engine, unit, call.rows).run(action, call.item_id, guard, body)
        await unit.finish(engine, change)
        row = (await engine.final_rows(connection, [call.item_id])).get(call.item_id, row)
        headers, content = {"ETag": engine.tags.tag(row["version"])}, row["body"].encode()
        if keyed is not None:
            await engine.services.records.store(connection, keyed, 200, headers, content)
    return JsonResponse(200, headers, content), unit


def operation_of(action: Action) -> Operation:
    """Return the operation that runs an action."""
    body = action.body
    words = action.name.replace("_", " ").capitalize()
    required = (problems.PreconditionRequired,) if action.needs_tag else ()
    usual = (problems.PreconditionFailed, problems.Conflict, problems.ValidationFailed)
    return Operation(
        name=action.name,
        method="POST",
        suffix=f"/{{id}}/{action.segment}",
        handle=partial(_act, action),
        summary=action.summary or f"{words} {{a_singular}}",
        description=(inspect.getdoc(action.run) if action.run is not None else None) or action.effect,
        takes_key=True,
        body=None if body is None else lambda _: body,
        problems=(*required, *usual, *action.raised),
        parameters=lambda _: [tags_header("If-Match", required=action.needs_tag)],
        operation_id=partial(_operation_id, action),
        scope=action.scope,
    )


def _operation_id(action: Action, resource: RestResource) -> str:
    return f"{action.name}_{snake(resource.singular)}"
