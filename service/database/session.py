"""ORM sessions, for ordinary code, on a small pool of their own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy import ExceptionContext, event
from sqlalchemy.exc import DBAPIError, DisconnectionError, ResourceClosedError
from sqlalchemy.exc import TimeoutError as SessionPoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlalchemy.util import await_only
from sqlmodel.ext.asyncio.session import AsyncSession

from service.config import Settings
from service.database.connect import Connection, is_gone
from service.database.connector import Connector
from service.database.errors import (
    CONNECTION_ERRORS,
    ConnectionLostError,
    DatabaseUnavailableError,
    describe,
)
from service.database.resources import is_out_of_resources, out_of_resources
from service.observability import database as metrics

FREED_SECONDS = 0.01  # between two looks for a connection that others have given back


def _is_gone_from(context: ExceptionContext) -> bool:
    driver = context.connection and context.connection.connection.driver_connection
    return driver is None or is_gone(driver)


def _lost_in_session(context: ExceptionContext) -> ConnectionLostError | None:
    """The error to raise instead, where a call of an ORM session to the database shows that the connection is gone.

    Only here is it known whose error it is: the block of a session may raise the same for reasons of its own.
    """
    error = context.original_exception
    cause = error if isinstance(error, CONNECTION_ERRORS) else error.__cause__
    if not isinstance(cause, CONNECTION_ERRORS):
        return None
    context.is_disconnect = True  # so that it is not given to the next, whatever it is in the middle of
    # The driver raises the same for a call that it refuses to send: the connection has to be asked.
    callers = isinstance(cause, OSError | asyncpg.InterfaceError) and not isinstance(cause, TimeoutError)
    if callers and not _is_gone_from(context):
        context.invalidate_pool_on_disconnect = False
        return None
    return ConnectionLostError(describe(cause))


def _stamp(connection: sa.Connection, *_: Any) -> None:
    """Tell a transaction who acts that began before that was known. The first statement of one begins it, and does."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, Connection)
    if driver.is_in_transaction():
        await_only(driver.stamp())


class Sessions:
    """Makes ORM sessions. `expire` is called where the server turns out to be gone."""

    def __init__(
        self, settings: Settings, connector: Connector, *, expire: Callable[[], Awaitable[None]]
    ) -> None:
        self._connector = connector
        self._expire = expire
        limits = settings.database
        self._acquire_timeout = limits.acquire_timeout
        cached = 0 if limits.pgbouncer else settings.performance.statement_cache
        self.engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://",
            # PgBouncer gives the next transaction another server, which knows nothing of prepared statements.
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
        event.listen(self.engine.sync_engine, "before_cursor_execute", _stamp)
        event.listen(self.engine.sync_engine, "connect", self._note_age)
        event.listen(self.engine.sync_engine, "checkout", self._refuse_old)

    def _note_age(self, _: Any, record: ConnectionPoolEntry) -> None:
        record.info["age"] = self._connector.age

    def _refuse_old(self, _: Any, record: ConnectionPoolEntry, __: Any) -> None:
        """Keep an ORM session from a connection that has ended or was given up while it lay in the pool."""
        if record.info["age"] != self._connector.age or record.driver_connection.is_closed():  # type: ignore[union-attr]
            raise DisconnectionError

    def report(self) -> None:
        """Tell the metrics how the pool is used."""
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        used, idle = pool.checkedout(), pool.checkedin()
        metrics.pool_is(metrics.SESSION, used=used, idle=idle, limit=pool.size())

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncSession]:
        """An ORM session in one transaction: committed when the block ends well, rolled back otherwise."""
        try:
            async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
                await self._connect_session(session)
                yield session
        except SessionPoolTimeoutError as error:
            metrics.timed_out(metrics.SESSION)
            raise DatabaseUnavailableError(describe(error)) from error
        except ConnectionLostError:
            await self._expire()
            raise
        except DBAPIError as error:
            cause = error.orig.__cause__ if error.orig else None
            if isinstance(cause, asyncpg.PostgresError) and is_out_of_resources(cause):
                raise out_of_resources(cause) from error
            raise cause or error from error

    async def _connect_session(self, session: AsyncSession) -> None:
        """Take the session's connection before its block is run, whose own errors may be the same.

        SQLAlchemy sets up a new connection where `_lost_in_session` is told nothing, or is not heard: what it raises
        for one that is lost while it asks the first for the server's version is that it is closed.
        """
        try:
            await self._checkout(session)
        except (ResourceClosedError, *CONNECTION_ERRORS) as error:
            await self._expire()
            raise DatabaseUnavailableError(describe(error)) from error

    async def _checkout(self, session: AsyncSession) -> None:
        """Where no connection can be opened, wait for one that other sessions give back, if there are any."""
        for _ in range(round(self._acquire_timeout / FREED_SECONDS)):
            try:
                await session.connection()
            except (DatabaseUnavailableError, *CONNECTION_ERRORS):
                if self._used() == 0:
                    raise
                await asyncio.sleep(FREED_SECONDS)
            else:
                return
        await session.connection()

    def _used(self) -> int:
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        return pool.checkedout()
