"""Runs the statement of one change, with the hooks of the resource around it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg

from service.database.row_id import usual_uuid
from service.http.middleware.state import KEY, RequestState
from service.resources.guarded_rows import Run
from service.resources.hooks.hook_runner import NO_CONNECTION
from service.resources.operations.operation import Call
from service.resources.retries import retry_rolled_back
from service.resources.statements.statement import Statement
from service.resources.units.engine_unit import EngineUnit

Arguments = dict[str, Any]
Work = Callable[[Run, Arguments], Awaitable[Sequence[asyncpg.Record]]]
"""Runs the statement of a change, given its arguments as driver values: fields, id, principal and request id. Returns
its rows: the first is that of the item (body, version)."""
Store = Callable[[asyncpg.Connection, asyncpg.Record], Awaitable[None]]
"""Stores the response that the row of the item becomes."""


async def apply_change(
    call: Call,
    operation: str,
    item_id: UUID,
    values: Mapping[str, Any],
    work: Work,
    *,
    store: Store | None = None,
) -> asyncpg.Record:
    """Return the row of `work`, which runs one statement. `item_id` may be a `row_id`: hooks get the usual UUID.

    If hooks run in the transaction, `work` runs between them, and all of it is retried if PostgreSQL rolls it back;
    otherwise the statement is its own transaction. Hooks after the change run only if a change was made.

    If computed members have subqueries, a second statement in the transaction reads the row, which `store` then gets.
    Without them, `work` stores the response.
    """
    engine, hooks = call.engine, call.engine.hooks
    reads_again = engine.reads_changed and operation != "delete"
    if not hooks.exist and not reads_again:
        return (await work(engine.run, _arguments(call, item_id, values)))[0]
    item_id = usual_uuid(item_id)
    if reads_again or hooks.need_transaction(operation):
        attempt = partial(_in_transaction, call, operation, item_id, values, work, store=store)
        row, unit = await retry_rolled_back(attempt)
    else:
        recorder = _Recorder(engine.run)
        row = (await work(recorder.run, _arguments(call, item_id, values)))[0]
        unit = call.unit_on(NO_CONNECTION)
        if recorder.changed:
            await unit.finish(engine, unit.change(engine, operation, item_id, dict(values), call.rows))
    await unit.after_commit()
    return row


async def _in_transaction(
    call: Call,
    operation: str,
    item_id: UUID,
    values: Mapping[str, Any],
    work: Work,
    *,
    store: Store | None,
) -> tuple[asyncpg.Record, EngineUnit]:
    """Return the row, and the unit of work, whose hooks after the commit are left to run."""
    engine = call.engine
    async with engine.transaction() as connection:
        unit = call.unit_on(connection)
        change = unit.change(engine, operation, item_id, dict(values), call.rows)
        await engine.hooks.before(change)
        recorder = _Recorder(partial(engine.run_on, connection))
        row = (await work(recorder.run, _arguments(call, item_id, change.values)))[0]
        if recorder.changed:
            await unit.finish(engine, change)
        if operation != "delete" and engine.reads_changed:
            row = (await engine.final_rows(connection, [item_id])).get(item_id, row)
            if store is not None:
                await store(connection, row)
    return row, unit


class _Recorder:
    """Notes whether a statement made a change."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.changed = False

    async def run(self, statement: Statement, arguments: Mapping[str, Any]) -> list[asyncpg.Record]:
        rows = await self._run(statement, arguments)
        self.changed = bool(rows) and rows[0].get("done", True)
        return rows


def _arguments(call: Call, item_id: UUID, values: Mapping[str, Any]) -> Arguments:
    state: RequestState = call.request.scope[KEY]
    return call.engine.arguments.of(
        item_id, values, call.rows, principal=call.principal.id, request_id=state.request_id
    )
