"""The unit of work of the engines: changes items in one transaction, with the hooks of their resources."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast
from uuid import UUID

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from service.database.orm import session_on
from service.http.content.preconditions import Guard
from service.models.base import Resource
from service.models.uuid7 import uuid7
from service.resources.declaration import Change
from service.resources.declaration.unit_of_work import R
from service.resources.engine import Engine
from service.resources.engine_registry import EngineRegistry
from service.resources.guarded_rows import accepted_row, run_guarded
from service.resources.hooks.hook_runner import NO_CONNECTION, HookRunner
from service.resources.hooks.values import HookError
from service.resources.statements.ownership import Rows
from service.resources.units.named_problems import naming
from service.security.principals import Principal

ANY_VERSION = Guard(versions=None, excluded=None)
MOST_LEVELS = 10  # of changes made by the hooks of changes


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes changes. The service itself, such as a job, sees the rows of all owners."""

    principal: Principal
    request_id: str
    is_service: bool = False

    def rows_of(self, engine: Engine) -> Rows:
        """Return the rows of a resource that the caller sees. Raises `Unauthenticated` and `Forbidden`."""
        return engine.access.every_row if self.is_service else engine.access.of(self.principal)


@dataclass(slots=True)
class _Transaction:
    """What the units of one transaction share. `made` are the complete changes; their hooks run after the commit."""

    connection: asyncpg.Connection
    made: list[tuple[HookRunner, Change]] = field(default_factory=list)


class EngineUnit:
    """See `UnitOfWork`. Each change has a unit of its own in the same transaction; `trail` names what led to it."""

    __slots__ = ("_engines", "_transaction", "caller", "trail")

    def __init__(
        self,
        engines: EngineRegistry,
        caller: Caller,
        transaction: _Transaction,
        trail: tuple[str, ...] = (),
    ) -> None:
        self._engines = engines
        self._transaction = transaction
        self.caller = caller
        self.trail = trail

    @property
    def principal(self) -> Principal:
        return self.caller.principal

    @property
    def connection(self) -> asyncpg.Connection:
        return self._transaction.connection

    def session(self) -> AbstractAsyncContextManager[AsyncSession]:
        return session_on(self.connection)

    async def get(self, model: type[R], item_id: UUID) -> R | None:
        engine = self._engines.of(model)
        read = engine.locked_row.reader(self.caller.rows_of(engine))
        return cast("R | None", await read(self.connection, item_id))

    async def create(self, model: type[Resource], values: Mapping[str, Any]) -> UUID:
        engine, item_id = self._engines.of(model), uuid7()
        rows = self.caller.rows_of(engine)
        change = self.change(engine, "create", item_id, _with_owner(engine, values, rows), rows)
        async with self._changing(engine, change):
            await engine.run_on(self.connection, engine.writer.create, self.arguments(engine, change, rows))
            await self.finish(engine, change)
        return item_id

    async def update(self, model: type[Resource], item_id: UUID, values: Mapping[str, Any]) -> None:
        engine = self._engines.of(model)
        rows = self.caller.rows_of(engine)
        change = self.change(engine, "update", item_id, dict(values), rows)
        async with self._changing(engine, change):
            fields = tuple(name for name in engine.resource.own_fields if name in change.values)
            run = partial(engine.run_on, self.connection)
            arguments = self.arguments(engine, change, rows)
            found = await run_guarded(run, engine.writer.replace(fields), arguments, ANY_VERSION)
            if found and found[0]["refused"]:
                raise HookError(f"{_name(engine, change)} sets {found[0]['refused']}, which is immutable")
            if accepted_row(engine, found, ANY_VERSION)["done"]:
                await self.finish(engine, change)

    async def delete(self, model: type[Resource], item_id: UUID) -> None:
        engine = self._engines.of(model)
        rows = self.caller.rows_of(engine)
        change = self.change(engine, "delete", item_id, {}, rows)
        async with self._changing(engine, change):
            run = partial(engine.run_on, self.connection)
            arguments = self.arguments(engine, change, rows)
            accepted_row(
                engine, await run_guarded(run, engine.writer.delete, arguments, ANY_VERSION), ANY_VERSION
            )
            await self.finish(engine, change)

    def change(
        self,
        engine: Engine,
        operation: str,
        item_id: UUID,
        values: dict[str, Any],
        rows: Rows,
        *,
        action: str | None = None,
    ) -> Change:
        """Return a change of an item among the `rows` of the caller, as hooks see it. Raises `HookError` for a loop."""
        trail = (*self.trail, f"{engine.resource.path}: {action or operation}")
        if len(trail) > MOST_LEVELS + 1:
            raise HookError(f"hooks call each other in a loop: {' → '.join(trail)}")
        unit = EngineUnit(self._engines, self.caller, self._transaction, trail)
        return Change(operation, item_id, values, unit, engine.locked_row.reader(rows), action)

    def arguments(self, engine: Engine, change: Change, rows: Rows) -> dict[str, Any]:
        """Return the arguments of the statement that makes a change."""
        return engine.arguments.of(
            change.id, change.values, rows, principal=self.principal.id, request_id=self.caller.request_id
        )

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what the block does if it raises, and forget the changes that it made."""
        made = self._transaction.made
        before = len(made)
        try:
            async with self.connection.transaction():
                yield
        except BaseException:
            del made[before:]
            raise

    async def finish(self, engine: Engine, *changes: Change) -> None:
        """Run the hooks at the end of changes that were made, and note them for the hooks after the commit."""
        if engine.hooks.exist:
            await engine.hooks.before_commit(changes)
            self._transaction.made += [(engine.hooks, change) for change in changes]

    async def after_commit(self, *, cancellable: bool = False) -> None:
        """Run the hooks after the commit, in the order in which the changes were complete; see `HookRunner`."""
        self._transaction.connection = NO_CONNECTION
        for hooks, change in self._transaction.made:
            if not await hooks.after_commit(change, cancellable=cancellable):
                return

    @asynccontextmanager
    async def _changing(self, engine: Engine, change: Change) -> AsyncIterator[None]:
        """Run the hook before the statement of the block, in a savepoint."""
        async with self.savepoint():
            with naming(engine.resource, change.operation):
                engine.hooks.accept(change)
                await engine.hooks.before(change)
                yield


def unit_on(connection: asyncpg.Connection, engines: EngineRegistry, caller: Caller) -> EngineUnit:
    """Return the unit of work in the transaction of the connection."""
    return EngineUnit(engines, caller, _Transaction(connection))


def _name(engine: Engine, change: Change) -> str:
    return f"{engine.resource.path}: {change.operation}"


def _with_owner(engine: Engine, values: Mapping[str, Any], rows: Rows) -> dict[str, Any]:
    """Return the values of a new item with its owner: the caller, unless they name another one."""
    field = engine.resource.owner_field
    if field is None or field in values:
        return dict(values)
    if rows.owner is None:
        raise engine.access.ownerless()
    return {**values, field: rows.owner}
