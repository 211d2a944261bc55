"""One resource at work: its schemas, statements and tags, and the way to run a statement for a request."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from pydantic import BaseModel
from starlette.requests import Request

from service.config import PerformanceSettings
from service.database import Database
from service.http import problems
from service.http.middleware.state import state_of
from service.http.problems.database import UNDONE, columns_of_constraints, problem_of
from service.resources.declaration import Change, RestResource
from service.resources.hooks import NO_CONNECTION, HookRunner
from service.resources.lists.cursor import CursorCodec
from service.resources.lists.listing import Lister
from service.resources.requests.idempotency import IdempotencyStore
from service.resources.requests.preconditions import TagMaker
from service.resources.schemas.items import Schemas, is_text_id
from service.resources.statements.batches import BatchWriter, unique_fields
from service.resources.statements.columns import representation
from service.resources.statements.history import HistoryStatements
from service.resources.statements.statement import Statement, compile_statement, own_field, parameter
from service.resources.statements.writing import Writer
from service.security.principals import Principal

T = TypeVar("T")
Run = Callable[[Statement, Mapping[str, Any]], Awaitable[list[asyncpg.Record]]]

_ATTEMPTS = 4
_PAUSE = 0.02


@dataclass(frozen=True, slots=True)
class Services:
    """What the engines of all resources share."""

    database: Database
    records: IdempotencyStore
    cursors: CursorCodec
    sizes: PerformanceSettings
    exports: asyncio.Semaphore


class Engine:
    """Everything that the operations of one resource need, made once at start-up."""

    def __init__(self, resource: RestResource, services: Services) -> None:
        self.resource = resource
        self.services = services
        self.schemas = Schemas(resource, bulk_operations=services.sizes.bulk_operations)
        self.hooks = HookRunner(resource, self.schemas)
        self.lister = Lister(resource, services.sizes, services.cursors)
        self.historian = HistoryStatements(resource)
        self.tags = TagMaker(resource.shown_fields)
        self.writer = Writer(resource)
        self.batches = BatchWriter(resource)
        self.read_one = _read_one(resource)
        self.constraints = columns_of_constraints(resource.table)
        self.unique_fields = unique_fields(resource.table)
        self.unique_keys = sum(bool(index.unique) for index in resource.table.indexes)

    async def run(self, statement: Statement, values: Mapping[str, Any]) -> list[asyncpg.Record]:
        """Run one statement in a transaction of its own. Raises the problem that PostgreSQL's error means.

        A serialization failure or a deadlock has undone the statement, so it is tried again a few times.
        """
        arguments = statement.arguments(values)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self.services.database.fetch(
                    statement.sql, arguments, reads=statement.reads, names_actor=True
                )
            except asyncpg.TransactionRollbackError as error:
                if attempt == _ATTEMPTS:
                    raise self.problem(error) from error
                await asyncio.sleep(_PAUSE * attempt * random.random())  # noqa: S311  # jitter, no secret
            except asyncpg.PostgresError as error:
                raise self.problem(error) from error
        raise AssertionError("unreachable")

    async def run_on(
        self, connection: asyncpg.Connection, statement: Statement, values: Mapping[str, Any]
    ) -> list[asyncpg.Record]:
        """Run one statement in the transaction of `connection`. Raises problems like `run`."""
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement.sql, *statement.arguments(values))
        except asyncpg.PostgresError as error:
            raise self.problem(error) from error
        return rows

    def problem(self, error: asyncpg.PostgresError) -> Exception:
        """The problem to raise for an error of PostgreSQL, or the error itself when it is a defect of ours."""
        return problem_of(error, self.constraints) or error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """A transaction whose errors, those of hooks and of the commit included, become problems like `run`'s."""
        try:
            async with self.services.database.transaction() as connection:
                yield connection
        except asyncpg.PostgresError as error:
            raise self.problem(error) from error

    @asynccontextmanager
    async def change(
        self, request: Request, principal: Principal, operation: str, item_id: UUID, values: dict[str, Any]
    ) -> AsyncIterator[tuple[Run, dict[str, Any]]]:
        """The way to run the statement of one change, and its parameters: wire values, id, principal, request id.

        If hooks run in the transaction, the block runs between them; otherwise the statement is its own transaction.
        Hooks after the change run only if a change was made.
        """
        if not self.hooks.exist:
            yield self.run, self.parameters(request, principal, item_id, values)
            return
        change = Change(operation, item_id, principal, dict(values), NO_CONNECTION)
        made = False

        async def run(statement: Statement, arguments: Mapping[str, Any]) -> list[asyncpg.Record]:
            nonlocal made
            if change.connection is NO_CONNECTION:
                rows = await self.run(statement, arguments)
            else:
                rows = await self.run_on(change.connection, statement, arguments)
            made = bool(rows) and rows[0].get("done", True)
            return rows

        async with contextlib.AsyncExitStack() as stack:
            if self.hooks.need_transaction(operation):
                change.connection = await stack.enter_async_context(self.transaction())
                await self.hooks.before(change)
            yield run, self.parameters(request, principal, item_id, change.values)
            if made:
                await self.hooks.before_commit([change])
        if made:
            await self.hooks.after_commit([change])

    def parameters(
        self, request: Request, principal: Principal, item_id: UUID, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the parameters of a change to one item, as driver values."""
        kinds = self.resource.kinds
        wire = {own_field(name): kinds[name].wire(value) for name, value in values.items()}
        request_id = state_of(request.scope).request_id
        return {**wire, "id": item_id, "principal": principal.id, "request_id": request_id}

    def fields_in(self, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the fields that a change sets: the client's, as modified by hooks."""
        return tuple(name for name in self.resource.own_fields if own_field(name) in arguments)

    def item_id(self, request: Request) -> UUID:
        """The id in the path. Raises `NotFound` when no item can have it."""
        found = is_text_id(request.path_params["id"])
        if found is None:
            raise self.missing()
        return found

    def missing(self) -> problems.NotFound:
        return problems.NotFound(f"There is no such {self.resource.singular}.")


async def again_after_rollback(effect: Callable[[], Awaitable[T]]) -> T:
    """What `effect` returns, tried a few times while PostgreSQL undoes its transaction for another one's sake."""
    for attempt in range(1, _ATTEMPTS):
        try:
            return await effect()
        except problems.Busy as busy:
            if not isinstance(busy.__cause__, UNDONE):
                raise
            await asyncio.sleep(_PAUSE * attempt * random.random())  # noqa: S311  # jitter, no secret
    return await effect()


def values_of(item: BaseModel, fields: tuple[str, ...]) -> dict[str, Any]:
    """The named fields of a body, as Python values."""
    return {name: getattr(item, name) for name in fields}


def _read_one(resource: RestResource) -> Statement:
    table = resource.table
    names = dict.fromkeys(("version", *resource.shown_fields))
    row = (
        sa.select(*(table.c[name] for name in names))
        .where(table.c.id == parameter("id", sa.Uuid()), table.c.deleted_at.is_(None))
        .subquery("_rows")
    )
    return compile_statement(representation(row, resource.shown_fields), reads=True)
