"""A process's access to PostgreSQL: the pool and the connection for probes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from service.config import Settings
from service.database.connect import Connection
from service.database.connector import Connector
from service.database.errors import ConnectionLostError, DatabaseUnavailableError
from service.database.fast_pool import FastPool
from service.database.lease import Lease
from service.database.orm import session_on
from service.database.out_of_resources import is_out_of_resources, out_of_resources
from service.database.probe import Probe
from service.database.row_changes import Listener, NoListener

_NOBODY = NoListener()


class Database:
    """The connections of one process. `start` connects, and keeps retrying in the background.

    `listener` is told which rows each transaction of the pool has changed, after it has ended and before its user goes
    on.
    """

    def __init__(self, settings: Settings, listener: Listener = _NOBODY) -> None:
        self._limits = settings.database
        self._tell = listener.announce
        self._connector = Connector(settings)
        self._fast = FastPool(settings, self._connector, listener.watched)
        self._probe = Probe(self._connector)
        # Half of the pool, for long transactions: short ones can still get a connection.
        self.long_slots = asyncio.Semaphore(max(1, settings.database.pool_max // 2))

    async def start(self) -> None:
        """Open the pool, and wait briefly until it is filled. The wait ends if the database is unreachable."""
        await self._fast.start()

    async def stop(self) -> None:
        """Close every connection, without waiting for running statements."""
        self._probe.stop()
        await self._fast.stop()

    @property
    def warm(self) -> bool:
        """Whether the pool has been filled once, so that the first requests find connections."""
        return self._fast.warm

    @property
    def pool(self) -> FastPool:
        return self._fast

    async def report(self) -> None:
        """Update the metrics on pool use."""
        self._fast.report()

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """Yield a connection of the pool. Raises `DatabaseUnavailableError` within the acquire timeout."""
        return Lease(self._fast, self._tell)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """Yield an ORM session in one transaction: committed if the block succeeds, otherwise rolled back."""
        async with self.connection() as connection, session_on(connection) as session:
            yield session

    async def probe(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Run one statement on a connection reserved for probes, so that a busy pool does not look like a lost
        server."""
        try:
            return await self._probe.fetch(sql, *arguments)
        except DatabaseUnavailableError:
            if self._fast.size == 0:
                raise
        # A server at its connection limit refuses the probe's connection, but is not lost.
        return await self.fetch(sql, arguments, reads=True)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Yield a connection with a transaction that commits if the block succeeds."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    def one_statement(self) -> AbstractAsyncContextManager[Connection]:
        """Yield a connection for a statement that is its own transaction."""
        # asyncpg prepares and runs a statement in two steps, which PgBouncer may send to different servers unless they
        # share a transaction.
        return self.transaction() if self._limits.pgbouncer else Lease(self._fast, self._tell)

    @asynccontextmanager
    async def dedicated(self) -> AsyncIterator[Connection]:
        """Yield a connection outside the pools, for long use. Raises `DatabaseUnavailableError`."""
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

        A statement that `reads` or `names_actor` takes one round trip. Any other runs in a transaction that sets the
        actor.

        If the connection is lost, a statement that `reads` is run again; so the caller must know that it only
        reads, including the functions it calls.
        """
        try:
            return await self._fetch_once(sql, arguments, alone=reads or names_actor)
        except ConnectionLostError:
            if not reads:
                raise
        return await self._fetch_once(sql, arguments, alone=True)

    async def _fetch_once(self, sql: str, arguments: Sequence[Any], *, alone: bool) -> list[asyncpg.Record]:
        """Run one statement; with `alone`, in one round trip."""
        rows: list[asyncpg.Record]
        if self._limits.pgbouncer:
            async with self.one_statement() as connection:
                rows = await (connection.fetch_alone if alone else connection.fetch)(sql, *arguments)
                return rows
        lease = Lease(self._fast, self._tell)  # as in a block, but for its coroutines
        connection = lease.take() or await lease.wait()
        try:
            rows = await (connection.fetch_alone if alone else connection.fetch)(sql, *arguments)
        except BaseException as error:
            await lease.fail(error)
            raise
        if (told := lease.give_back()) is not None:
            await asyncio.shield(told)
        return rows
