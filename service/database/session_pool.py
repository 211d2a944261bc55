"""ORM sessions for ordinary code, with a small separate pool."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy import ExceptionContext, event
from sqlalchemy.exc import DBAPIError, DisconnectionError, ResourceClosedError
from sqlalchemy.exc import TimeoutError as SessionPoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlalchemy.util import await_only
from sqlmodel.ext.asyncio.session import AsyncSession

from service.config import Settings
from service.database.connect import Connection
from service.database.connector import Connector
from service.database.errors import (
    CONNECTION_ERRORS,
    ConnectionLostError,
    DatabaseUnavailableError,
    describe,
)
from service.database.out_of_resources import is_out_of_resources, out_of_resources
from service.database.row_changes import RowChanges, Tell
from service.observability import database_metrics as metrics

CHECK_SECONDS = 0.01  # between two checks for a returned connection


def _connection_is_closed(context: ExceptionContext) -> bool:
    driver: Any = context.connection and context.connection.connection.driver_connection
    return driver is None or driver.is_closed()


def _lost_in_session(context: ExceptionContext) -> ConnectionLostError | None:
    """Return the error to raise instead if a database call of an ORM session shows that the connection is lost.

    Only this hook can tell: code in the block of a session may raise the same errors for other reasons.
    """
    error = context.original_exception
    cause = error if isinstance(error, CONNECTION_ERRORS) else error.__cause__
    if not isinstance(cause, CONNECTION_ERRORS):
        return None
    context.is_disconnect = True  # so that the pool does not reuse it
    # The driver raises the same for a call that it refuses to send: check the connection.
    callers = isinstance(cause, OSError | asyncpg.InterfaceError) and not isinstance(cause, TimeoutError)
    if callers and not _connection_is_closed(context):
        context.invalidate_pool_on_disconnect = False
        return None
    return ConnectionLostError(describe(cause))


def _set_actor(connection: sa.Connection, *_: Any) -> None:
    """Set the actor of a transaction that began before the actor was known. BEGIN sets it for the others."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, Connection)
    if driver.is_in_transaction():
        await_only(driver.set_actor())


def _changes_of(connection: AsyncConnection) -> RowChanges:
    driver = connection.sync_connection and connection.sync_connection.connection.driver_connection
    assert isinstance(driver, Connection)
    return driver.changes


class SessionPool:
    """Creates ORM sessions. `expire` is called if a connection is lost; `tell` gets what a session has changed."""

    def __init__(
        self,
        settings: Settings,
        connector: Connector,
        tell: Tell,
        *,
        expire: Callable[[], Awaitable[None]],
    ) -> None:
        self._connector = connector
        self._tell = tell
        self._expire = expire
        limits = settings.database
        self._acquire_timeout = limits.acquire_timeout
        cached = 0 if limits.pgbouncer else settings.performance.statement_cache
        self.engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://",
            # PgBouncer may run the next transaction on another server, which lacks the prepared statements.
            connect_args={
                "async_creator_fn": connector.connect_or_refuse,
                "prepared_statement_cache_size": cached,
            },
            pool_size=limits.session_pool,
            max_overflow=0,
            pool_timeout=limits.acquire_timeout,
        )
        metrics.time_session_statements(self.engine)
        event.listen(self.engine.sync_engine, "handle_error", _lost_in_session)
        event.listen(self.engine.sync_engine, "before_cursor_execute", _set_actor)
        event.listen(self.engine.sync_engine, "connect", self._record_generation)
        event.listen(self.engine.sync_engine, "checkout", self._discard_expired)

    def _record_generation(self, _: Any, record: ConnectionPoolEntry) -> None:
        record.info["generation"] = self._connector.generation

    def _discard_expired(self, _: Any, record: ConnectionPoolEntry, __: Any) -> None:
        """Discard a pooled connection that was closed or has expired."""
        if record.info["generation"] != self._connector.generation or record.driver_connection.is_closed():  # type: ignore[union-attr]
            raise DisconnectionError

    def report(self) -> None:
        """Update the metrics on pool use."""
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        used, idle = pool.checkedout(), pool.checkedin()
        metrics.set_pool_usage(metrics.SESSION, used=used, idle=idle, limit=pool.size())

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncSession]:
        """Yield an ORM session in one transaction: committed if the block succeeds, otherwise rolled back."""
        changes = RowChanges()
        try:
            async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
                changes = await self._connect_session(session)
                yield session
        except SessionPoolTimeoutError as error:
            metrics.count_timeout(metrics.SESSION)
            raise DatabaseUnavailableError(describe(error)) from error
        except ConnectionLostError:
            await self._expire()
            raise
        except DBAPIError as error:
            cause = error.orig.__cause__ if error.orig else None
            if isinstance(cause, asyncpg.PostgresError) and is_out_of_resources(cause):
                raise out_of_resources(cause) from error
            raise cause or error from error
        finally:
            # Also after an error: the commit may have succeeded before the connection was lost.
            if changes and (told := self._tell(changes.take())) is not None:
                await asyncio.shield(told)

    async def _connect_session(self, session: AsyncSession) -> RowChanges:
        """Connect the session before its block runs, since the block may raise the same errors itself.

        Returns the changes of its connection.

        `_lost_in_session` does not cover a new connection's set-up. If the first connection is lost while SQLAlchemy
        queries the server's version, it raises `ResourceClosedError`.
        """
        try:
            return await self._checkout(session)
        except (ResourceClosedError, *CONNECTION_ERRORS) as error:
            await self._expire()
            raise DatabaseUnavailableError(describe(error)) from error

    async def _checkout(self, session: AsyncSession) -> RowChanges:
        """If no connection can be opened, wait for one that another session returns, if there are any."""
        for _ in range(round(self._acquire_timeout / CHECK_SECONDS)):
            try:
                return _changes_of(await session.connection())
            except (DatabaseUnavailableError, *CONNECTION_ERRORS):
                if self._used() == 0:
                    raise
                await asyncio.sleep(CHECK_SECONDS)
        return _changes_of(await session.connection())

    def _used(self) -> int:
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        return pool.checkedout()
