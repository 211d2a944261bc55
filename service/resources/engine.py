"""The parts of one resource at run time: schemas, statements and tags. Runs statements and maps their errors."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from service.cache.change_feed import ChangeFeed
from service.cache.memory import Memory
from service.cache.redis_client import NoRedis
from service.config import PerformanceSettings
from service.database import Database
from service.http import problems
from service.http.content.preconditions import TagMaker
from service.http.problems.sqlstate import UNDONE, columns_of_constraints, problem_of
from service.resources.declaration import RestResource
from service.resources.engine_registry import EngineRegistry
from service.resources.hooks.hook_runner import HookRunner
from service.resources.item_reader import CachedItems, Item, ReadItem
from service.resources.lists.cursor import CursorCodec
from service.resources.lists.lister import Lister
from service.resources.relations.expanded_items import ExpandedItems
from service.resources.relations.expansions import Expansions
from service.resources.relations.relation import Relation, relations_of
from service.resources.requests.idempotency import IdempotencyStore
from service.resources.retries import ATTEMPTS, pause_after
from service.resources.schemas.items import Schemas
from service.resources.statements.batches import BatchWriter, sole_key, unique_keys
from service.resources.statements.changed_items import read_changed
from service.resources.statements.columns import not_deleted, representation, with_version
from service.resources.statements.history_statements import HistoryStatements
from service.resources.statements.item_arguments import ItemArguments
from service.resources.statements.locked_row import LockedRow
from service.resources.statements.ownership import Owners, RowAccess, Rows
from service.resources.statements.statement import Statement, compile_statement, parameter
from service.resources.statements.writing import Writer


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that the engines of all resources share. Without memory, nothing is cached."""

    database: Database
    records: IdempotencyStore
    cursors: CursorCodec
    sizes: PerformanceSettings
    exports: asyncio.Semaphore
    memory: Memory = field(default_factory=lambda: Memory(0))
    feed: ChangeFeed = field(default_factory=lambda: ChangeFeed(NoRedis(), ""))
    owners: Owners = field(default_factory=Owners)
    engines: EngineRegistry = field(default_factory=EngineRegistry)


class Engine:
    """The parts that the operations of one resource use, built once at start-up.

    `relations` are those of the resource. `unseen` are the fields that the resource lacks because its callers do not
    have their scope.
    """

    def __init__(
        self,
        resource: RestResource,
        services: Services,
        relations: Sequence[Relation] = (),
        unseen: tuple[str, ...] = (),
    ) -> None:
        self.resource = resource
        self.services = services
        self.relations, self.unseen = relations, unseen
        self.access = access = services.owners.access(resource)
        self.expansions = Expansions(relations)
        self.expanded = ExpandedItems(resource, access)
        self.schemas = Schemas(resource, relations, bulk_operations=services.sizes.bulk_operations)
        self.hooks = HookRunner(resource, self.schemas)
        self.lister = Lister(resource, access, services.sizes, services.cursors, relations)
        self.tags = TagMaker((*resource.shown_fields, *resource.computed))
        self.arguments = ItemArguments(resource)
        self.reads_changed = resource.has_subqueries
        self.read_item = self._reader()
        self.actions = {action.name: action for action in resource.actions}
        self.locked_row = LockedRow(resource, access)
        self.unique_fields = tuple(dict.fromkeys(chain(*unique_keys(resource))))
        self.sole_key = sole_key(resource)
        self.constraints = _constraints(resource)

    @cached_property
    def read_one(self) -> Statement:
        """The statement that reads an item, as (body, version)."""
        return _read_one(self.resource, self.access)

    @cached_property
    def writer(self) -> Writer:
        """What changes items."""
        return Writer(self.resource, self.access)

    @cached_property
    def history(self) -> HistoryStatements:
        """What reads versions, built when it is first needed: that takes milliseconds, and few processes need all."""
        return HistoryStatements(self.resource, self.access)

    @cached_property
    def batches(self) -> BatchWriter:
        """What writes many items, built when it is first needed."""
        return BatchWriter(self.resource, self.access)

    @cached_property
    def _read_changed(self) -> Statement:
        return read_changed(self.resource)

    def _reader(self) -> ReadItem:
        """Return what reads an item: the statement, or a cache in front of it if the resource declares one."""
        resource, memory = self.resource, self.services.memory
        if resource.cache is None or memory.size == 0:
            return self._read_item
        name = " without ".join((resource.path, *filter(None, [", ".join(self.unseen)])))
        items = CachedItems(name, memory, resource.cache, self.tags, self._read_item)
        self.services.feed.watch(resource.table.name, items.changed)
        return items.read

    async def _read_item(self, item_id: UUID, rows: Rows, *_: object) -> Item | None:
        found = await self.run(self.read_one, {"id": item_id, **rows.arguments})
        return Item(found[0]["body"].encode(), found[0]["version"]) if found else None

    async def run(self, statement: Statement, values: Mapping[str, Any]) -> list[asyncpg.Record]:
        """Run one statement in its own transaction, and retry it if PostgreSQL rolls it back.

        Raises the problem that PostgreSQL's error means.
        """
        arguments = statement.arguments(values)
        attempt = 1
        while True:
            try:
                return await self.services.database.fetch(
                    statement.sql, arguments, reads=statement.reads, names_actor=True
                )
            except asyncpg.PostgresError as error:
                # As `retry_rolled_back`, without two coroutines on the way of each statement.
                if attempt == ATTEMPTS or not isinstance(error, UNDONE):
                    raise self.problem(error) from error
            await pause_after(attempt)
            attempt += 1

    async def run_on(
        self, connection: asyncpg.Connection, statement: Statement, values: Mapping[str, Any]
    ) -> list[asyncpg.Record]:
        """Run one statement in the transaction of `connection`. Raises problems as `run` does."""
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement.sql, *statement.arguments(values))
        except asyncpg.PostgresError as error:
            raise self.problem(error) from error
        return rows

    async def final_rows(
        self, connection: asyncpg.Connection, ids: Sequence[UUID], *, hooked: bool = False
    ) -> Mapping[UUID, asyncpg.Record]:
        """Return the items (body, version) as their transaction leaves them, by id, even those that it has deleted or
        given to another owner; none if no member has a subquery, unless hooks may have changed them (`hooked`).

        A subquery in the statement of a change finds the tables as they were before it.
        """
        if not ids or not (hooked or self.reads_changed):
            return {}
        return {row["id"]: row for row in await self.run_on(connection, self._read_changed, {"ids": ids})}

    def problem(self, error: asyncpg.PostgresError) -> Exception:
        """Return the problem for an error from PostgreSQL, or the error itself if it is a bug of the service."""
        return problem_of(error, self.constraints) or error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """Open a transaction. Its errors, including those of hooks and of the commit, become problems as in `run`."""
        try:
            async with self.services.database.transaction() as connection:
                yield connection
        except asyncpg.PostgresError as error:
            raise self.problem(error) from error

    def missing(self) -> problems.NotFound:
        return problems.NotFound(f"There is no such {self.resource.singular}.")


def engines_of(resources: Sequence[RestResource], services: Services) -> list[Engine]:
    """Return the engine of each resource. Their hooks can change items of the others. Raises `DeclarationError`."""
    engines = [Engine(resource, services, [*relations_of(resource, resources)]) for resource in resources]
    for engine in engines:
        services.engines.add(engine)
    return engines


def values_of(item: BaseModel, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the named fields of a body, as Python values."""
    return dict(zip(fields, map(vars(item).__getitem__, fields), strict=True))


def new_values(
    engine: Engine, item: BaseModel, rows: Rows, fixed: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the values of a new item: the fields of its body, and defaults of those that only the service sets.

    `fixed` are values of fields that the body lacks. Its owner is the caller. Raises `Forbidden` if the caller cannot
    own it.
    """
    resource = engine.resource
    if fixed:
        values = {
            **values_of(item, tuple(name for name in resource.input_fields if name not in fixed)),
            **fixed,
        }
    else:
        values = values_of(item, resource.input_fields)
    if (owner := resource.owner_field) is not None and owner not in item.model_fields_set:
        if rows.owner is None:
            raise engine.access.ownerless()
        values[owner] = rows.owner
    for name in resource.readonly:
        if name in values:
            continue
        value = getattr(item, name) if name in item.model_fields_set else resource.default_of(name, values)
        if value is not PydanticUndefined:  # otherwise a hook sets it
            values[name] = value
    return values


def _constraints(resource: RestResource) -> Mapping[str, tuple[str, ...]]:
    """Return the columns of each constraint, for errors: without the owner's, which no client sets."""
    found = columns_of_constraints(resource.table)
    field = resource.owner_field
    return {name: tuple(c for c in columns if c != field) for name, columns in found.items()}


def _read_one(resource: RestResource, access: RowAccess) -> Statement:
    table = resource.table
    row = (
        sa.select(*with_version(table, resource.read_columns))
        .where(table.c.id == parameter("id", sa.Uuid()), not_deleted(table), *access.seen(table))
        .subquery("_rows")
    )
    return compile_statement(representation(row, resource), reads=True)
