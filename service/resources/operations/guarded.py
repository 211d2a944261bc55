"""Changes one existing item under the preconditions of the request."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import asyncpg
from starlette.responses import Response

from service.http import problems
from service.http.content.preconditions import Guard
from service.http.problems import FieldError, Problem, pointer
from service.resources.engine import Engine
from service.resources.operations.change import Arguments, Run, apply_change
from service.resources.operations.operation import Call
from service.resources.requests.json_response import json_response
from service.resources.requests.unwritable import IMMUTABLE
from service.resources.statements.statement import Statement, own_field

_ATTEMPTS = 4


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

    async def work(run: Run, arguments: Arguments) -> Response:
        # The fields of the client, as changed by hooks.
        fields = tuple(name for name in engine.resource.own_fields if own_field(name) in arguments)
        rows = await run_guarded(run, statement(fields), arguments, guard)
        # Checked in the transaction, so that a refused change also undoes what hooks have written.
        if not rows:
            raise absent()
        row = accepted_row(engine, rows, guard)
        return json_response(200, {"ETag": engine.tags.tag(row["version"])}, row["body"].encode())

    return await apply_change(call, "update", call.item_id, values, work)


async def run_guarded(
    run: Run, statement: Statement, arguments: Mapping[str, Any], guard: Guard
) -> list[asyncpg.Record]:
    """Return the rows of a change. One that lost a race is tried again, unless the client requires a version."""
    for _ in range(_ATTEMPTS):
        rows = await run(statement, {**arguments, **guard.parameters()})
        lost_a_race = rows and not rows[0]["done"] and rows[0]["allowed"] and rows[0]["changes"]
        if not lost_a_race or rows[0]["refused"] or guard.versions is not None:
            break
    return rows


def accepted_row(engine: Engine, rows: Sequence[asyncpg.Record], guard: Guard) -> asyncpg.Record:
    """Return the row of a change that was made or that changes nothing. Raises the problem of a refused one."""
    if not rows:
        raise engine.missing()
    row = rows[0]
    if row["done"] or (row["allowed"] and not row["refused"] and not row["changes"]):
        return row
    if row["allowed"] and row["refused"]:
        names = row["refused"].split(",")
        raise problems.ValidationFailed(
            errors=[FieldError(IMMUTABLE, pointer=pointer((name,))) for name in names]
        )
    raise problems.PreconditionFailed(guard.advice)
