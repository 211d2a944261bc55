"""The way to PostgreSQL: the fast pool for single statements, and ORM sessions for ordinary code."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
import structlog
from sqlalchemy import ExceptionContext, event
from sqlalchemy.exc import DBAPIError, DisconnectionError, ResourceClosedError
from sqlalchemy.exc import TimeoutError as SessionPoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlmodel.ext.asyncio.session import AsyncSession

from service import clock
from service.config import Settings
from service.observability import database as metrics
from service.postgres import LOST, CommandTimeoutError, Connection, connect, why

log = structlog.get_logger(__name__)

RETRY_FIRST, RETRY_MOST = 0.1, 1.0
REFILL_SECONDS = 1.0
START_SECONDS = 2.0  # that a start waits for the first connections, at most
FREED_SECONDS = 0.01  # between two looks for a connection that others have given back
EXPIRE_SECONDS = 1.0  # between two times that all connections are given up


class DatabaseUnavailableError(Exception):
    """No connection in time, or the server is gone. The message holds no secret; the caller may try again."""


class ConnectionLostError(DatabaseUnavailableError):
    """The connection ended under a statement, of which nobody knows whether it was run."""


def is_gone(connection: asyncpg.Connection) -> bool:
    """Whether the connection has ended. One that has not is no reason for an `InterfaceError`: that is the caller's."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:  # the server has closed it, and the pool has taken it back
        return True


def _cut(connection: asyncpg.Connection) -> None:
    with contextlib.suppress(asyncpg.InterfaceError):  # the pool has taken it back
        connection.terminate()


def _is_gone_from(context: ExceptionContext) -> bool:
    driver = context.connection and context.connection.connection.driver_connection
    return driver is None or is_gone(driver)


def _lost_in_session(context: ExceptionContext) -> ConnectionLostError | None:
    """The error to raise instead, where a call of an ORM session to the database shows that the connection is gone.

    Only here is it known whose error it is: the block of a session may raise the same for reasons of its own.
    """
    error = context.original_exception
    cause = error if isinstance(error, LOST) else error.__cause__
    if not isinstance(cause, LOST):
        return None
    context.is_disconnect = True  # so that it is not given to the next, whatever it is in the middle of
    # The driver raises the same for a call that it refuses to send: the connection has to be asked.
    callers = isinstance(cause, OSError | asyncpg.InterfaceError) and not isinstance(cause, TimeoutError)
    if callers and not _is_gone_from(context):
        context.invalidate_pool_on_disconnect = False
        return None
    return ConnectionLostError(why(cause))


class Database:
    """Both pools of one process. Making it connects to nothing; `start` does, and goes on trying by itself."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limits = settings.database
        self._pool: asyncpg.Pool | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._late: set[asyncio.Task[None]] = set()
        self._probe: asyncpg.Connection | None = None
        self.warm = False  # once the pool was filled: the first requests find connections
        self._tried = asyncio.Event()  # the first attempt to fill it is over
        self._away: str | None = None  # why the last attempt to connect has failed
        self._missed = asyncio.Event()  # one has failed since the keeper looked
        self._age = 0  # how often all connections were given up
        self._expired_at = -EXPIRE_SECONDS
        cached = 0 if self._limits.pgbouncer else settings.performance.statement_cache
        self.engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://",
            # PgBouncer gives the next transaction another server, which knows nothing of prepared statements.
            connect_args={
                "async_creator_fn": self._connect_or_refuse,
                "prepared_statement_cache_size": cached,
            },
            pool_size=self._limits.session_pool,
            max_overflow=0,
            pool_timeout=self._limits.acquire_timeout,
        )
        metrics.time_session_statements(self.engine)
        event.listen(self.engine.sync_engine, "handle_error", _lost_in_session)
        event.listen(self.engine.sync_engine, "connect", self._note_age)
        event.listen(self.engine.sync_engine, "checkout", self._refuse_old)

    async def _connect(self, *_: Any, **__: Any) -> asyncpg.Connection:
        """A new connection for a request. While the server is away, one attempt at a time knocks for all: a server that
        is about to come back has better things to do than to turn away hundreds."""
        if self._away is not None:
            raise DatabaseUnavailableError(self._away)
        return await self._knock()

    async def _connect_or_refuse(self, *_: Any, **__: Any) -> asyncpg.Connection:
        try:
            return await self._connect()
        except LOST as error:
            raise DatabaseUnavailableError(why(error)) from error

    async def _knock(self) -> asyncpg.Connection:
        try:
            connection = await connect(self._settings)
        except (asyncpg.PostgresError, *LOST) as error:
            self._away = why(error)
            self._missed.set()
            if isinstance(error, LOST):
                raise
            raise DatabaseUnavailableError(self._away) from error  # whatever keeps it from letting us in
        self._away = None
        return connection

    async def _expire(self) -> None:
        """Give up every connection of both pools: what has happened to one has most likely happened to all."""
        now = clock.monotonic()
        if now - self._expired_at >= EXPIRE_SECONDS:
            self._expired_at = now
            self._age += 1
            if self._pool is not None:
                await self._pool.expire_connections()

    def _note_age(self, _: Any, record: ConnectionPoolEntry) -> None:
        record.info["age"] = self._age

    def _refuse_old(self, _: Any, record: ConnectionPoolEntry, __: Any) -> None:
        """Keep an ORM session from a connection that has ended or was given up while it lay in the pool."""
        if record.info["age"] != self._age or record.driver_connection.is_closed():  # type: ignore[union-attr]
            raise DisconnectionError

    async def start(self) -> None:
        """Open the pool, and wait a moment until it is filled: whoever comes first finds connections.

        A database that cannot be reached ends the wait, and is tried again in the background.
        """
        self._pool = await asyncpg.create_pool(
            connect=self._connect,
            connection_class=Connection,
            min_size=0,
            max_size=self._limits.pool_max,
            max_inactive_connection_lifetime=self._limits.idle_lifetime,
            init=metrics.time_fast_statements,
        )
        self._keeper = asyncio.create_task(self._keep_filled())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._tried.wait(), START_SECONDS)

    async def stop(self) -> None:
        """Close every connection; what still runs gets no more time."""
        if self._keeper is not None:
            for task in (self._keeper, *self._late):
                task.cancel()
            await asyncio.gather(self._keeper, *self._late, return_exceptions=True)
        if self._probe is not None:
            self._probe.terminate()
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), 2)
            except TimeoutError:
                self._pool.terminate()
        await self.engine.dispose()

    async def _keep_filled(self) -> None:
        """Keep `pool_min` connections open, whatever closes them; with growing pauses while there is no server."""
        pause = RETRY_FIRST
        while True:
            self._missed.clear()
            try:
                if self._away is not None:
                    (await self._knock()).terminate()
                await self._fill()
                self.warm = True
            except (DatabaseUnavailableError, *LOST) as error:
                log.warning("database unreachable", reason=self._away or why(error), retry_in=round(pause, 1))
                self._tried.set()
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  # jitter, no secret
                pause = min(pause * 2, RETRY_MOST)
            else:
                self._tried.set()
                pause = RETRY_FIRST
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._missed.wait(), REFILL_SECONDS)

    async def _fill(self) -> None:
        least = min(self._limits.pool_min, self._limits.pool_max)
        if self.pool.get_size() >= least:
            return
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(least):
                await stack.enter_async_context(self.pool.acquire(timeout=self._limits.connect_timeout))

    async def _acquire(self) -> asyncpg.Connection:
        """A connection within the acquire time-out: a new one, or one that others give back before that is there.

        One that takes longer to connect goes to the pool, for the next to find: a request that gives up must not undo
        what all wait for.
        """
        pool = self.pool
        if pool.get_idle_size() > 0 or pool.get_size() >= pool.get_max_size():
            return await pool.acquire(timeout=self._limits.acquire_timeout)
        connecting = asyncio.ensure_future(pool.acquire(timeout=self._limits.connect_timeout))
        mine = False
        try:
            # Looks are counted and not seconds: a process that was kept from running meanwhile has not waited.
            looks = max(1, round(self._limits.acquire_timeout / FREED_SECONDS))
            for look in range(looks):
                if pool.get_idle_size() > 0:
                    return await pool.acquire(timeout=(looks - look) * FREED_SECONDS)
                mine = bool((await asyncio.wait({connecting}, timeout=FREED_SECONDS))[0])
                if mine:
                    return connecting.result()
            raise TimeoutError
        finally:
            if not mine:
                late = asyncio.create_task(self._give_back(connecting))
                self._late.add(late)
                late.add_done_callback(self._late.discard)

    async def _give_back(self, connecting: "asyncio.Future[asyncpg.Connection]") -> None:
        with contextlib.suppress(DatabaseUnavailableError, *LOST):
            await self.pool.release(await connecting)

    async def report(self) -> None:
        """Tell the metrics how the pools are used."""
        if self._pool is not None:
            size, idle = self._pool.get_size(), self._pool.get_idle_size()
            metrics.pool_is(metrics.FAST, used=size - idle, idle=idle, limit=self._pool.get_max_size())
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        used, idle = pool.checkedout(), pool.checkedin()
        metrics.pool_is(metrics.SESSION, used=used, idle=idle, limit=pool.size())

    @property
    def pool(self) -> asyncpg.Pool:
        if self._pool is None:
            raise DatabaseUnavailableError("the service is starting")
        return self._pool

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection of the fast pool. Raises `DatabaseUnavailableError` within the acquire time-out."""
        began = clock.monotonic()
        try:
            connection = await self._acquire()
        except LOST as error:
            if isinstance(error, TimeoutError):
                metrics.timed_out(metrics.FAST)
            raise DatabaseUnavailableError(why(error)) from error
        finally:
            metrics.waited(clock.monotonic() - began)
        age = self._age
        try:
            yield connection
        except CommandTimeoutError as error:
            # Longer than the server itself lets a statement run: it has gone silent, and a second try would, too.
            _cut(connection)
            await self._expire()
            raise DatabaseUnavailableError(why(error)) from error
        except LOST as error:
            if isinstance(error, OSError | asyncpg.InterfaceError) and not is_gone(connection):
                raise  # of what the block has done beside it, or of a call that asyncpg refuses to send
            _cut(connection)
            await self._expire()
            raise ConnectionLostError(why(error)) from error
        finally:
            if age != self._age:  # given up meanwhile: closing it in order may take long
                _cut(connection)
            with contextlib.suppress(*LOST):  # a connection that ends badly changes nothing of what it did
                await self.pool.release(connection, timeout=self._limits.acquire_timeout)

    async def probe(self, sql: str) -> list[asyncpg.Record]:
        """Run one statement on a connection kept for probes, so that a busy pool does not look like a lost server."""
        try:
            if self._probe is None or self._probe.is_closed():
                self._probe = await self._knock()
            async with self._probe.transaction():
                rows: list[asyncpg.Record] = await self._probe.fetch(sql)
                return rows
        except BaseException as error:
            if self._probe is not None and not isinstance(error, asyncpg.UndefinedTableError):
                self._probe.terminate()
                self._probe = None
            if isinstance(error, LOST):
                raise DatabaseUnavailableError(why(error)) from error
            raise

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection with a transaction that commits when the block ends well."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    def one_statement(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """A connection for a statement that is a transaction of its own."""
        # asyncpg prepares and runs a statement in two steps, which PgBouncer may send to two servers: only a
        # transaction holds them together.
        return self.transaction() if self._limits.pgbouncer else self.connection()

    @asynccontextmanager
    async def dedicated(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection outside the pools, for what holds one for long. Raises `DatabaseUnavailableError`."""
        connection = await self._connect_or_refuse()
        try:
            yield connection
        finally:
            connection.terminate()

    async def fetch(
        self, sql: str, arguments: Sequence[Any] = (), *, reads: bool = False
    ) -> list[asyncpg.Record]:
        """Run one statement in its own transaction and return its rows.

        One that `reads`, and as its caller knows does nothing else, is run once more when its connection ends under
        it. SQL does not show what a function does.
        """
        try:
            return await self._fetch(sql, arguments)
        except ConnectionLostError:
            if not reads:
                raise
        return await self._fetch(sql, arguments)

    async def _fetch(self, sql: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
        async with self.one_statement() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(sql, *arguments)
            return rows

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """An ORM session in one transaction: committed when the block ends well, rolled back otherwise."""
        try:
            async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
                await self._connect_session(session)
                yield session
        except SessionPoolTimeoutError as error:
            metrics.timed_out(metrics.SESSION)
            raise DatabaseUnavailableError(why(error)) from error
        except ConnectionLostError:
            await self._expire()
            raise
        except DBAPIError as error:
            raise (error.orig.__cause__ if error.orig else None) or error from error

    async def _connect_session(self, session: AsyncSession) -> None:
        """Take the session's connection before its block is run, whose own errors may be the same.

        SQLAlchemy sets up a new connection where `_lost_in_session` is told nothing, or is not heard: what it raises
        for one that is lost while it asks the first for the server's version is that it is closed.
        """
        try:
            await session.connection()
        except (ResourceClosedError, *LOST) as error:
            await self._expire()
            raise DatabaseUnavailableError(why(error)) from error
