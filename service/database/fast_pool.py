"""The fast pool, for single statements through asyncpg."""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import structlog

from service import clock
from service.config import Settings
from service.database.connect import Connection, is_closed, terminate
from service.database.connector import Connector
from service.database.errors import (
    CONNECTION_ERRORS,
    CommandTimeoutError,
    ConnectionLostError,
    DatabaseUnavailableError,
    describe,
)
from service.database.out_of_resources import is_out_of_resources, out_of_resources
from service.database.row_changes import RowChanges, Tell
from service.observability import database_metrics as metrics

log = structlog.get_logger(__name__)

RETRY_FIRST, RETRY_MOST = 0.1, 1.0
REFILL_SECONDS = 1.0
START_SECONDS = 2.0  # how long `start` waits for the first connections
CHECK_SECONDS = 0.01  # between two checks for a returned connection


class FastPool:
    """asyncpg's pool, kept filled. `start` connects, and keeps retrying in the background. `tell` gets what a user of a
    connection has changed."""

    def __init__(self, settings: Settings, connector: Connector, tell: Tell) -> None:
        self._limits = settings.database
        self._tell = tell
        self._connector = connector
        self._pool: asyncpg.Pool | None = None
        self._refill: asyncio.Task[None] | None = None
        self._late_connects: set[asyncio.Task[None]] = set()
        self._waiters: deque[asyncio.Future[None]] = deque()  # for a returned connection
        self._first_attempt = asyncio.Event()  # the first attempt to fill it is over
        self.warm = False  # whether the pool has been filled once

    @property
    def pool(self) -> asyncpg.Pool:
        if self._pool is None:
            raise DatabaseUnavailableError("the service is starting")
        return self._pool

    async def start(self) -> None:
        """Open the pool, and wait briefly until it is filled, so that the first requests find connections.

        The wait ends if the database is unreachable; the pool keeps retrying in the background.
        """
        self._pool = await asyncpg.create_pool(
            connect=self._connector.connect,
            connection_class=Connection,
            min_size=0,
            max_size=self._limits.pool_max,
            max_inactive_connection_lifetime=self._limits.idle_lifetime,
            init=metrics.time_fast_statements,
        )
        self._refill = asyncio.create_task(self._keep_filled())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first_attempt.wait(), START_SECONDS)

    async def stop(self) -> None:
        """Close every connection, without waiting for running statements."""
        if self._refill is not None:
            for task in (self._refill, *self._late_connects):
                task.cancel()
            await asyncio.gather(self._refill, *self._late_connects, return_exceptions=True)
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), 2)
            except TimeoutError:
                self._pool.terminate()

    async def expire(self) -> None:
        """Expire every connection of both pools."""
        if self._connector.expire() and self._pool is not None:
            await self._pool.expire_connections()

    async def _keep_filled(self) -> None:
        """Keep `pool_min` connections open; back off while the server is unreachable."""
        connector, pause = self._connector, RETRY_FIRST
        while True:
            connector.failed.clear()
            try:
                if connector.outage is not None:
                    (await connector.attempt()).terminate()
                await self._fill()
                self.warm = True
            except (DatabaseUnavailableError, *CONNECTION_ERRORS) as error:
                reason = connector.outage or describe(error)
                event = (
                    "database takes no more connections" if self.pool.get_size() else "database unreachable"
                )
                log.warning(event, reason=reason, retry_in=round(pause, 1))
                self._first_attempt.set()
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  # jitter, not a secret
                pause = min(pause * 2, RETRY_MOST)
            else:
                self._first_attempt.set()
                pause = RETRY_FIRST
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(connector.failed.wait(), REFILL_SECONDS)

    async def _fill(self) -> None:
        least = min(self._limits.pool_min, self._limits.pool_max)
        if self.pool.get_size() >= least:
            return
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(least):
                await stack.enter_async_context(self.pool.acquire(timeout=self._limits.connect_timeout))

    async def _acquire(self) -> asyncpg.Connection:
        """Return a connection within the acquire timeout: a new one, or one returned before that is ready.

        A connection that takes longer goes to the pool for the next request: a request that gives up must not cancel
        what all others wait for. If the server is at its connection limit, the open connections serve all requests.
        """
        pool = self.pool
        if pool.get_idle_size() > len(self._waiters) or pool.get_size() >= pool.get_max_size():
            return await pool.acquire(timeout=self._limits.acquire_timeout)
        # Counts checks instead of seconds: time in which the process did not run is not waiting time.
        checks = max(1, round(self._limits.acquire_timeout / CHECK_SECONDS))
        if self._connector.outage is not None and pool.get_size() > 0:
            return await self._wait_for_returned(checks)
        connecting = asyncio.ensure_future(pool.acquire(timeout=self._limits.connect_timeout))
        mine = False
        try:
            for check in range(checks):
                if pool.get_idle_size() > 0:
                    return await pool.acquire(timeout=(checks - check) * CHECK_SECONDS)
                mine = bool((await asyncio.wait({connecting}, timeout=CHECK_SECONDS))[0])
                if mine and connecting.exception() is not None and pool.get_size() > 0:
                    return await self._wait_for_returned(checks - check)
                if mine:
                    return connecting.result()
            raise TimeoutError
        finally:
            if not mine:
                late = asyncio.create_task(self._give_back(connecting))
                self._late_connects.add(late)
                late.add_done_callback(self._late_connects.discard)

    async def _wait_for_returned(self, checks: int) -> asyncpg.Connection:
        """Return a connection that others give back, within that many checks; the longest waiting request comes
        first."""
        pool, loop = self.pool, asyncio.get_running_loop()
        for check in range(checks):
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiters.append(waiter)
            timer = loop.call_later(CHECK_SECONDS, self._wake, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                self._wake(waiter)
            if pool.get_idle_size() > 0:
                # Another request may take it first, and the pool then tries to connect.
                with contextlib.suppress(DatabaseUnavailableError, asyncpg.PostgresError, OSError):
                    return await pool.acquire(timeout=(checks - check) * CHECK_SECONDS)
        raise TimeoutError

    def _wake(self, waiter: "asyncio.Future[None]") -> None:
        with contextlib.suppress(ValueError):
            self._waiters.remove(waiter)
        if not waiter.done():
            waiter.set_result(None)

    async def _give_back(self, connecting: "asyncio.Future[asyncpg.Connection]") -> None:
        with contextlib.suppress(DatabaseUnavailableError, *CONNECTION_ERRORS):
            await self.pool.release(await connecting)

    def _told(self, changes: RowChanges) -> asyncio.Future[None] | None:
        return self._tell(changes.take()) if changes else None

    def report(self) -> None:
        """Update the metrics on pool use."""
        if self._pool is not None:
            size, idle = self._pool.get_size(), self._pool.get_idle_size()
            metrics.set_pool_usage(metrics.FAST, used=size - idle, idle=idle, limit=self._pool.get_max_size())

    async def _waited(self) -> asyncpg.Connection:
        """As `_acquire`, with metrics. Raises `DatabaseUnavailableError`."""
        began = clock.monotonic()
        try:
            return await self._acquire()
        except CONNECTION_ERRORS as error:
            if isinstance(error, TimeoutError):
                metrics.count_timeout(metrics.FAST)
            raise DatabaseUnavailableError(describe(error)) from error
        finally:
            metrics.observe_wait(clock.monotonic() - began)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Yield a connection of the fast pool. Raises `DatabaseUnavailableError` within the acquire timeout."""
        connection = await self._waited()
        generation = self._connector.generation
        changes: RowChanges = connection.changes
        try:
            yield connection
        except CommandTimeoutError as error:
            # Longer than the server's statement_timeout: the server hangs, and a retry would hang too.
            terminate(connection)
            await self.expire()
            raise DatabaseUnavailableError(describe(error)) from error
        except CONNECTION_ERRORS as error:
            if isinstance(error, OSError | asyncpg.InterfaceError) and not is_closed(connection):
                raise  # from other code in the block, or from a call that asyncpg refuses to send
            terminate(connection)
            await self.expire()
            raise ConnectionLostError(describe(error)) from error
        except asyncpg.PostgresError as error:
            if is_out_of_resources(error):
                raise out_of_resources(error) from error
            raise
        finally:
            # Also after an error: the commit may have succeeded before the connection was lost.
            told = self._told(changes)
            if generation != self._connector.generation:  # expired meanwhile: a graceful close may take long
                terminate(connection)
            with contextlib.suppress(*CONNECTION_ERRORS):  # a failed release does not undo the block's work
                await self.pool.release(connection, timeout=self._limits.acquire_timeout)
            if self._waiters:
                self._wake(self._waiters[0])
            if told is not None:
                await asyncio.shield(told)
