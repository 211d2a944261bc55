"""Runs one action on one item."""

from copy import deepcopy
from functools import partial
from uuid import UUID

import asyncpg
from pydantic import BaseModel

from service.http import problems
from service.http.content.preconditions import Guard
from service.resources.declaration import Action, Change
from service.resources.engine import Engine
from service.resources.hooks.values import HookError
from service.resources.statements.ownership import Rows
from service.resources.units.engine_unit import ANY_VERSION, EngineUnit
from service.security.gate import describe_missing


class ActionRun:
    """Runs actions in a unit of work, for one request of a principal who sees `rows`."""

    def __init__(self, engine: Engine, unit: EngineUnit, rows: Rows) -> None:
        self._engine = engine
        self._unit = unit
        self._rows = rows

    async def run(
        self, action: Action, item_id: UUID, guard: Guard, body: BaseModel | None
    ) -> tuple[asyncpg.Record, Change]:
        """Return the row (body, version) of the item, and the change, for the hooks after it.

        Raises `Forbidden`, `NotFound`, `PreconditionFailed`, and the problems of the action and of the hooks.
        """
        engine, unit = self._engine, self._unit
        # Bulk requests are admitted with the resource's write scope.
        if action.scope is not None and not unit.principal.may(action.scope):
            raise problems.Forbidden(describe_missing([action.scope]))
        item = await engine.locked_row.read_for_action(unit.connection, item_id, self._rows, action.name)
        if item is None:
            raise engine.missing()
        if not guard.allows(item.version):
            raise problems.PreconditionFailed(guard.advice)
        change = unit.change(engine, "update", item_id, {}, self._rows, action=action.name)
        own = deepcopy(body)  # another attempt begins with what the client sent
        await engine.hooks.act(action, change, item, own)
        await engine.hooks.before(change)
        return await self._write(change), change

    async def _write(self, change: Change) -> asyncpg.Record:
        """Write the values that the action and the hooks have left, if any, and return the item."""
        engine = self._engine
        run = partial(engine.run_on, self._unit.connection)
        fields = tuple(name for name in engine.resource.own_fields if name in change.values)
        if not fields:
            # The action may have deleted the item, or given it to another owner.
            return (await engine.final_rows(self._unit.connection, [change.id], hooked=True))[change.id]
        arguments = self._unit.arguments(engine, change, self._rows)
        rows = await run(engine.writer.replace(fields), {**arguments, **ANY_VERSION.parameters()})
        name = f"{engine.resource.path}.{change.action}"
        if not rows:
            raise HookError(f"{name} sets {', '.join(fields)} of an item that it deletes or gives away")
        if rows[0]["refused"]:
            raise HookError(f"{name} changes {rows[0]['refused']}, which is immutable")
        return rows[0]
