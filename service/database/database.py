"""Everything that a process asks of PostgreSQL goes through here."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession

from service.config import Settings
from service.database.connector import Connector
from service.database.errors import ConnectionLostError, DatabaseUnavailableError
from service.database.pool import FastPool
from service.database.probe import Probe
from service.database.resources import is_out_of_resources, out_of_resources
from service.database.session import Sessions


class Database:
    """Both pools of one process. Making it connects to nothing; `start` does, and goes on trying by itself."""

    def __init__(self, settings: Settings) -> None:
        self._limits = settings.database
        self._connector = Connector(settings)
        self._fast = FastPool(settings, self._connector)
        self._sessions = Sessions(settings, self._connector, expire=self._fast.expire)
        self._probe = Probe(self._connector)
        # Half of the fast pool, for transactions that hold a connection for long: others still find one.
        self.long_slots = asyncio.Semaphore(max(1, settings.database.pool_max // 2))

    async def start(self) -> None:
        """Open the pool, and wait a moment until it is filled. A database that is away ends the wait."""
        await self._fast.start()

    async def stop(self) -> None:
        """Close every connection; what still runs gets no more time."""
        self._probe.stop()
        await self._fast.stop()
        await self.engine.dispose()

    @property
    def warm(self) -> bool:
        """Whether the pool has been filled once: the first requests find connections."""
        return self._fast.warm

    @property
    def pool(self) -> asyncpg.Pool:
        return self._fast.pool

    @property
    def engine(self) -> AsyncEngine:
        return self._sessions.engine

    async def report(self) -> None:
        """Tell the metrics how the pools are used."""
        self._fast.report()
        self._sessions.report()

    def connection(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """A connection of the fast pool. Raises `DatabaseUnavailableError` within the acquire time-out."""
        return self._fast.connection()

    def session(self) -> AbstractAsyncContextManager[AsyncSession]:
        """An ORM session in one transaction: committed when the block ends well, rolled back otherwise."""
        return self._sessions.open()

    async def probe(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Run one statement on a connection kept for probes, so that a busy pool does not look like a lost server."""
        try:
            return await self._probe.fetch(sql, *arguments)
        except DatabaseUnavailableError:
            if self.pool.get_size() == 0:
                raise
        # A server at its limit of connections lets none be opened for probes, and is not lost.
        return await self.fetch(sql, arguments, reads=True)

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
        connection = await self._connector.connect_or_refuse()
        try:
            yield connection
        except asyncpg.PostgresError as error:
            if is_out_of_resources(error):
                raise out_of_resources(error) from error
            raise
        finally:
            connection.terminate()

    async def fetch(
        self, sql: str, arguments: Sequence[Any] = (), *, reads: bool = False, names_actor: bool = False
    ) -> list[asyncpg.Record]:
        """Run one statement in its own transaction and return its rows.

        A statement that `reads` or `names_actor` takes one round trip. Any other is told who acts, in a transaction.

        One that `reads`, and as its caller knows does nothing else, is run once more when its connection ends under
        it. SQL does not show what a function does.
        """
        try:
            return await self._fetch(sql, arguments, alone=reads or names_actor)
        except ConnectionLostError:
            if not reads:
                raise
        return await self._fetch(sql, arguments, alone=True)

    async def _fetch(self, sql: str, arguments: Sequence[Any], *, alone: bool) -> list[asyncpg.Record]:
        async with self.one_statement() as connection:
            fetch = connection.fetch_alone if alone else connection.fetch
            rows: list[asyncpg.Record] = await fetch(sql, *arguments)
            return rows
