"""`DELETE /orders/{id}`: a soft delete. The row and its history stay."""

from collections.abc import Sequence

import asyncpg
from starlette.responses import Response

from service.http import problems
from service.http.content.preconditions import guard_of
from service.resources.documentation import tags_header
from service.resources.guarded_rows import Run, accepted_row, run_guarded
from service.resources.operations.change import Arguments, apply_change
from service.resources.operations.operation import Call, Operation
from service.resources.schemas.links import links_of_deleted


async def _delete(call: Call) -> Response:
    engine = call.engine
    guard = guard_of(call.request, engine.tags, required=True)

    async def work(run: Run, arguments: Arguments) -> Sequence[asyncpg.Record]:
        rows = await run_guarded(run, engine.writer.delete, arguments, guard)
        accepted_row(engine, rows, guard)
        return rows

    await apply_change(call, "delete", call.row_id, {}, work)
    return Response(status_code=204)


DELETE = Operation(
    name="delete",
    method="DELETE",
    suffix="/{id}",
    handle=_delete,
    summary="Delete {a_singular}",
    description="A soft delete: the history is kept, and the item can be restored.",
    status=204,
    response_model=lambda _: None,
    responses=lambda engine: {
        204: {"description": "The item is deleted.", **links_of_deleted(engine.resource)}
    },
    problems=(problems.PreconditionFailed, problems.PreconditionRequired, problems.Conflict),
    parameters=lambda _: [tags_header("If-Match", required=True)],
)
