"""Runs the statement of a change of one existing item, and tells what came of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import asyncpg

from service.http import problems
from service.http.content.preconditions import Guard
from service.http.problems import FieldError, pointer
from service.resources.engine import Engine
from service.resources.requests.unwritable import IMMUTABLE
from service.resources.statements.statement import Statement

Run = Callable[[Statement, Mapping[str, Any]], Awaitable[list[asyncpg.Record]]]

_ATTEMPTS = 4


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
