"""One use of a connection of the pool: taken, given back, and what its errors mean."""

import asyncio
from types import TracebackType

import asyncpg

from service import clock
from service.database.connect import Connection
from service.database.errors import (
    CONNECTION_ERRORS,
    CommandTimeoutError,
    ConnectionLostError,
    DatabaseUnavailableError,
    describe,
)
from service.database.fast_pool import FastPool
from service.database.out_of_resources import is_out_of_resources, out_of_resources
from service.database.row_changes import Tell
from service.observability import database_metrics as metrics


class Lease:
    """`async with Lease(pool, tell) as connection`. Raises `DatabaseUnavailableError` within the acquire timeout.

    `tell` gets what the block has changed, and the block ends when others have been told. A class, since a generator
    takes three times as long. `Database.fetch` calls what the block consists of: without the coroutines at both ends.
    """

    __slots__ = ("_connection", "_pool", "_tell")

    _connection: Connection

    def __init__(self, pool: FastPool, tell: Tell) -> None:
        self._pool = pool
        self._tell = tell

    async def __aenter__(self) -> Connection:
        return self.take() or await self.wait()

    async def __aexit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        if error is not None:
            await self.fail(error)
        elif (told := self.give_back()) is not None:
            await asyncio.shield(told)

    def take(self) -> Connection | None:
        """Take a free connection, if there is one."""
        connection = self._pool.take()
        if connection is not None:
            self._connection = connection
            metrics.observe_wait(0)
        return connection

    async def wait(self) -> Connection:
        """Take a connection as soon as there is one. Raises `DatabaseUnavailableError`."""
        began, waiter = clock.monotonic(), None
        try:
            waiter = self._pool.queue()
            connection = self._connection = await waiter
        except TimeoutError as error:
            metrics.count_timeout()
            raise DatabaseUnavailableError(describe(error)) from error
        except asyncio.CancelledError:
            if waiter is not None:
                self._pool.leave(waiter)
            raise
        finally:
            metrics.observe_wait(clock.monotonic() - began)
        return connection

    def give_back(self, *, ended: bool = True) -> asyncio.Future[None] | None:
        """Give the connection back. Its last statement may still run unless it has `ended`.

        Returns what to wait for: others being told of changes.
        """
        connection = self._connection
        told = self._tell(connection.changes.take()) if connection.changes else None
        if ended and not connection.has_transaction:
            self._pool.put(connection)
        else:
            self._pool.clean_up(connection)
        return told

    async def fail(self, error: BaseException) -> None:
        """Give the connection back after an error. Raises what it means, if it is one of the connection."""
        try:
            await self._judge(error)
        finally:
            # An error from PostgreSQL ends its statement; any other may have cancelled one that still runs. Others are
            # told anyway: the commit may have succeeded before the connection was lost.
            told = self.give_back(ended=isinstance(error, asyncpg.PostgresError))
            if told is not None:
                await asyncio.shield(told)

    async def _judge(self, error: BaseException) -> None:
        """Raise what an error of the block means, if it is one of the connection."""
        if isinstance(error, CommandTimeoutError):
            # Longer than the server's statement_timeout: the server hangs, and a retry would hang too.
            await self._lose()
            raise DatabaseUnavailableError(describe(error)) from error
        if isinstance(error, CONNECTION_ERRORS):
            if isinstance(error, OSError | asyncpg.InterfaceError) and not self._connection.is_closed():
                return  # from other code in the block, or from a call that asyncpg refuses to send
            await self._lose()
            raise ConnectionLostError(describe(error)) from error
        if is_out_of_resources(error):
            assert isinstance(error, asyncpg.PostgresError)
            raise out_of_resources(error) from error

    async def _lose(self) -> None:
        self._connection.terminate()
        await self._pool.expire()
