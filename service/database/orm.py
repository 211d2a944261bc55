"""SQLAlchemy on a connection that somebody else has opened and gives back.

Its own pool would need connections of its own, and its sessions could not take part in a transaction that asyncpg has
begun. Here a session takes the connection that it is given: outside a transaction it begins one, within one it sets a
savepoint.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ExceptionContext, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_only
from sqlmodel.ext.asyncio.session import AsyncSession

from service.database.connect import Connection
from service.database.errors import CommandTimeoutError, DatabaseUnavailableError
from service.observability.database_metrics import time_statements

JSON_TYPES = (114, 3802)  # json, jsonb in pg_type

_lent: ContextVar[Connection | None] = ContextVar("_lent", default=None)


class _Untyped(sa.types.NullType):
    """A column of SQL text. JSON becomes Python objects, as in a typed column."""

    cache_ok = True

    def result_processor(self, _: sa.Dialect, coltype: object) -> Callable[[Any], Any] | None:
        return _loads if coltype in JSON_TYPES else None


def _loads(value: str | None) -> Any:
    return None if value is None else json.loads(value)


class LentDialect(PGDialect_asyncpg):
    """Takes the connection that is lent, and leaves its end to the owner.

    JSON stays text on the connection, as the engine's statements expect it. SQLAlchemy's codecs would change that.
    """

    supports_statement_cache = True
    supports_native_json_deserialization = False
    colspecs = {**PGDialect_asyncpg.colspecs, sa.types.NullType: _Untyped}  # noqa: RUF012  # as in its base

    def on_connect(self) -> None:
        """Set nothing: the connection is set up already."""

    def connect(self, *_: Any, **__: Any) -> Any:
        """Return the lent connection in SQLAlchemy's form, which keeps its prepared statements between sessions."""
        lent = _lent.get()
        if lent is None:
            raise DatabaseUnavailableError("the connection was lost")
        if lent.orm:
            return lent.orm.pop()

        async def take() -> Connection:
            return lent

        return self.loaded_dbapi.connect(
            async_creator_fn=take, prepared_statement_cache_size=lent.statement_cache_size
        )

    def do_close(self, dbapi_connection: Any) -> None:
        """Keep it for the next session on the connection."""
        dbapi_connection.driver_connection.orm.append(dbapi_connection)

    def do_terminate(self, dbapi_connection: Any) -> None:
        """Leave the connection to its owner."""


registry.register("postgresql.lent", __name__, LentDialect.__name__)


@cache
def orm_engine() -> AsyncEngine:
    """Return the engine of all sessions. It holds no connection."""
    engine = create_async_engine("postgresql+lent://", poolclass=NullPool)
    time_statements(engine)
    event.listen(engine.sync_engine, "handle_error", _in_time)
    event.listen(engine.sync_engine, "before_cursor_execute", _set_actor)
    return engine


def _in_time(context: ExceptionContext) -> CommandTimeoutError | None:
    """Tell a time-out of the driver from those of the code that uses the session. A lost connection is not rolled
    back."""
    driver: Any = context.connection and context.connection.connection.driver_connection
    late = isinstance(context.original_exception, TimeoutError)
    if late or driver is None or driver.is_closed():
        context.is_disconnect = True
    return CommandTimeoutError() if late else None


def _set_actor(connection: sa.Connection, *_: Any) -> None:
    """Set the actor of a transaction that began before the actor was known. BEGIN sets it for the others."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, Connection)
    if driver.is_in_transaction():
        await_only(driver.set_actor())


@asynccontextmanager
async def session_on(connection: Connection) -> AsyncIterator[AsyncSession]:
    """Yield an ORM session on the connection: in a transaction of its own, or in a savepoint of the one that is open.

    It commits, or releases the savepoint, if the block succeeds. Errors of the database are asyncpg's.
    """
    try:
        async with AsyncSession(orm_engine(), expire_on_commit=False) as session, session.begin():
            before = _lent.set(connection)
            try:
                await session.connection()
            finally:
                _lent.reset(before)
            yield session
    except DBAPIError as error:
        cause = error.orig.__cause__ if error.orig else None
        raise cause or error from error
