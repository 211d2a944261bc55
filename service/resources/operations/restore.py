"""`POST /orders/{id}/restore`: undoes a soft delete, in a new version."""

from starlette.responses import Response

from service.http import problems
from service.http.content.preconditions import guard_of
from service.resources.documentation import tags_header
from service.resources.operations.guarded import update_item
from service.resources.operations.operation import Call, Operation


async def _restore(call: Call) -> Response:
    engine = call.engine
    guard = guard_of(call.request, engine.tags, required=False)
    absent = engine.missing()
    try:
        return await update_item(call, engine.writer.restore, {}, guard, absent=lambda: absent)
    except problems.NotFound as error:
        # A hook may raise NotFound about another item.
        if error is absent and await engine.run(engine.read_one, {"id": call.item_id, **call.rows.arguments}):
            raise problems.NotDeleted from None
        raise


RESTORE = Operation(
    name="restore",
    method="POST",
    suffix="/{id}/restore",
    handle=_restore,
    summary="Restore a deleted {singular}",
    description="Restores a deleted item unchanged. Returns 409 if another item now has one of its unique values.",
    problems=(problems.PreconditionFailed, problems.Conflict, problems.ValidationFailed),
    parameters=lambda _: [tags_header("If-Match", required=False)],
)
