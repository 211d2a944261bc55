"""Changes one existing item under the preconditions of the request."""

from collections.abc import Callable, Sequence
from typing import Any

import asyncpg
from starlette.responses import Response

from service.http.content.preconditions import Guard
from service.http.problems import Problem
from service.resources.guarded_rows import Run, accepted_row, run_guarded
from service.resources.operations.change import Arguments, apply_change
from service.resources.operations.operation import Call
from service.resources.requests.json_response import JsonResponse
from service.resources.statements.statement import Statement


async def update_item(
    call: Call,
    statement: Callable[[tuple[str, ...]], Statement],
    values: dict[str, Any],
    guard: Guard,
    *,
    absent: Callable[[], Problem],
) -> Response:
    """Run the statement for the fields that are set, and return the item. Raises `absent()` if no row matches."""
    engine = call.engine

    async def work(run: Run, arguments: Arguments) -> Sequence[asyncpg.Record]:
        # The fields of the client, as changed by hooks.
        fields = engine.arguments.fields_in(arguments)
        rows = await run_guarded(run, statement(fields), arguments, guard)
        # Checked in the transaction, so that a refused change also undoes what hooks have written.
        if not rows:
            raise absent()
        accepted_row(engine, rows, guard)
        return rows

    row = await apply_change(call, "update", call.row_id, values, work)
    return JsonResponse(200, {"ETag": engine.tags.tag(row["version"])}, row["body"].encode())
