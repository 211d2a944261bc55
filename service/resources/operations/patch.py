"""`PATCH /orders/{id}`: a JSON merge patch (RFC 7396)."""

from starlette.responses import Response

from service.http import problems
from service.http.content.preconditions import Guard, guard_of
from service.resources.documentation import tags_header
from service.resources.engine import values_of
from service.resources.operations.guarded import update_item
from service.resources.operations.operation import Call, Operation
from service.resources.requests.bodies import MERGE_PATCH, read_patch
from service.resources.requests.json_response import JsonResponse


async def _patch(call: Call) -> Response:
    engine = call.engine
    guard = guard_of(call.request, engine.tags, required=True)
    changes = await read_patch(call.request, engine.resource, engine.schemas)
    fields = tuple(filter(changes.model_fields_set.__contains__, engine.resource.input_fields))
    if not fields:
        return await _unchanged(call, guard)
    values = values_of(changes, fields)
    return await update_item(call, engine.writer.patch, values, guard, absent=engine.missing)


async def _unchanged(call: Call, guard: Guard) -> Response:
    """Apply a patch without fields: return the current item, if the precondition holds."""
    engine = call.engine
    rows = await engine.run(engine.read_one, {"id": call.item_id, **call.rows.arguments})
    if not rows:
        raise engine.missing()
    body, version = rows[0]
    if not guard.allows(version):
        raise problems.PreconditionFailed(guard.advice)
    return JsonResponse(200, {"ETag": engine.tags.tag(version)}, body.encode())


PATCH = Operation(
    name="patch",
    method="PATCH",
    suffix="/{id}",
    handle=_patch,
    summary="Change {a_singular}",
    description="A JSON merge patch (RFC 7396), also accepted as `application/json`. A patch that changes nothing "
    "makes no new version.",
    body=lambda engine: engine.schemas.patch,
    media_type=MERGE_PATCH[0],
    problems=(problems.PreconditionFailed, problems.PreconditionRequired),
    parameters=lambda _: [tags_header("If-Match", required=True)],
)
