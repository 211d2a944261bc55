"""The pool of connections, made for single statements.

asyncpg's own pool takes longer than a statement: a task, two timeouts and a queue for each use of a connection. Here a
free connection is taken from a list and put back without waiting for anything. The connection used last is the next one
used, so the others grow old, and are closed.
"""

import asyncio
import contextlib
import random
from collections.abc import Container, Coroutine
from functools import partial
from typing import Any

import asyncpg
import structlog

from service import clock
from service.config import Settings
from service.database.connect import Connection
from service.database.connector import Connector
from service.database.errors import CONNECTION_ERRORS, DatabaseUnavailableError, describe
from service.ending import end
from service.observability import database_metrics as metrics
from service.wait_queue import WaitQueue

log = structlog.get_logger(__name__)

RETRY_FIRST, RETRY_MOST = 0.1, 1.0
REFILL_SECONDS = 1.0
START_SECONDS = 2.0  # how long `start` waits for the first connections
CLOSE_SECONDS = 2.0

REFUSED = (DatabaseUnavailableError, *CONNECTION_ERRORS)


class FastPool:
    """At most `pool_max` connections. `start` opens `pool_min` of them, and keeps retrying in the background.

    Without `start`, as in a command, it connects when a connection is asked for.
    """

    def __init__(self, settings: Settings, connector: Connector, watched: Container[str]) -> None:
        self._limits = settings.database
        self._connector = connector
        self._watched = watched
        self._closed: str | None = None  # why there are no connections
        self._open: set[Connection] = set()  # free or in use
        self._free: list[Connection] = []
        self._opening = 0
        self._queue: WaitQueue[Connection] = WaitQueue(settings.database.acquire_timeout)
        self._tasks: set[asyncio.Task[None]] = set()
        self._first_attempt = asyncio.Event()  # the first attempt to fill it is over
        self.warm = False  # whether the pool has been filled once

    @property
    def size(self) -> int:
        """How many connections are open, free or in use."""
        return sum(not connection.is_closed() for connection in self._open)

    @property
    def free(self) -> int:
        """How many connections are open and not in use."""
        return sum(map(self._is_good, self._free))

    async def start(self) -> None:
        """Open connections, and wait briefly until that is done, so that the first requests find some.

        The wait ends if the database is unreachable; the pool keeps retrying in the background.
        """
        self._spawn(self._keep_filled())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first_attempt.wait(), START_SECONDS)

    async def stop(self) -> None:
        """Close every connection, without waiting for running statements."""
        self._closed = "the service is stopping"
        await end(self._tasks)
        self._queue.refuse(partial(DatabaseUnavailableError, self._closed))
        free, self._free = self._free, []
        for connection in self._open.difference(free):
            connection.terminate()
        self._open.clear()
        await asyncio.gather(*map(_close, free))

    def report(self) -> None:
        """Update the metrics on pool use."""
        size, free = self.size, self.free
        metrics.set_pool_usage(used=size - free, idle=free, limit=self._limits.pool_max)

    async def expire(self) -> None:
        """Expire every connection. Those in use are closed when they are put back."""
        if self._connector.expire():
            self._drop_free(older_than=None)

    def take(self) -> Connection | None:
        """Return a free connection, if there is one."""
        while self._free:
            connection = self._free.pop()
            if not connection.is_closed():  # `expire` has dropped the expired ones
                return connection
            self._discard(connection)
        return None

    def put(self, connection: Connection) -> None:
        """Take back a connection without a statement or a transaction: for the request that has waited longest, or as a
        free one."""
        good = connection.generation == self._connector.generation and not connection.is_closed()
        if not good:
            self._discard(connection)
        elif not (self._queue.waiters and self._queue.serve(connection)):
            connection.free_since = clock.monotonic()
            self._free.append(connection)

    def clean_up(self, connection: Connection) -> None:
        """Take back a connection that may still have a cancelled statement or an open transaction."""
        if self._is_good(connection):
            self._spawn(self._clean_up(connection))
        else:
            self._discard(connection)

    def queue(self) -> "asyncio.Future[Connection]":
        """Wait for a connection: one that is put back or opened within the acquire timeout. Raises
        `DatabaseUnavailableError`, and so may the future, or `TimeoutError`.

        A connection that takes longer to open is for a later request: a request that gives up must not cancel what all
        others wait for. If no more can be opened, the open ones serve all requests.
        """
        if self._closed is not None:
            raise DatabaseUnavailableError(self._closed)
        waiter = self._queue.join()
        self._open_more()
        return waiter

    def leave(self, waiter: "asyncio.Future[Connection]") -> None:
        """End a wait whose task was cancelled."""
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            self.put(waiter.result())  # it came in the same turn of the loop

    def _is_good(self, connection: Connection) -> bool:
        """Whether it is neither closed nor expired. `put` repeats the condition: every statement passes it, and a call
        would be one of the few that `tests/api/test_cost.py` allows to a request."""
        return connection.generation == self._connector.generation and not connection.is_closed()

    def _discard(self, connection: Connection) -> None:
        """Close a connection at once: a graceful close of a lost one may take long."""
        self._open.discard(connection)
        connection.terminate()
        self._open_more()

    async def _clean_up(self, connection: Connection) -> None:
        clean = False
        try:
            await asyncio.wait_for(connection.roll_back(), self._limits.acquire_timeout)
            clean = True
        except (asyncpg.PostgresError, *CONNECTION_ERRORS):
            pass  # it is closed below
        finally:
            if not clean:
                connection.terminate()
            self.put(connection)

    def _open_more(self) -> None:
        """Begin to open a connection if more requests wait than connections are being opened."""
        if (
            len(self._open) + self._opening >= self._limits.pool_max
            or (self._open and self._connector.outage is not None)
            or len(self._queue) <= self._opening
        ):
            return
        self._opening += 1
        self._spawn(self._open_for_waiters())

    async def _open_for_waiters(self) -> None:
        try:
            await self._open_one()
        except REFUSED as error:
            if not self._open and not self._opening:  # nobody can put one back
                self._queue.refuse(partial(DatabaseUnavailableError, _reason(error)))

    async def _open_one(self) -> None:
        """Open a connection that `_opening` counts. Raises one of `REFUSED`."""
        generation = self._connector.generation
        try:
            connection = await self._connector.connect()
        finally:
            self._opening -= 1
        self._add(connection, generation)

    def _add(self, connection: Connection, generation: int) -> None:
        connection.generation, connection.watched = generation, self._watched
        connection.on_success = metrics.observe_statement[True]
        connection.on_error = metrics.observe_statement[False]
        self._open.add(connection)
        self.put(connection)

    async def _keep_filled(self) -> None:
        """Keep `pool_min` connections open; back off while the server is unreachable."""
        connector, pause = self._connector, RETRY_FIRST
        while True:
            connector.failed.clear()
            try:
                await self._fill()
                self.warm = True
            except REFUSED as error:
                reason = connector.outage or _reason(error)
                event = "database takes no more connections" if self.size else "database unreachable"
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
        """Close old connections, end an outage, and open what is missing. Raises one of `REFUSED`."""
        limits, connector = self._limits, self._connector
        self._drop_free(older_than=limits.idle_lifetime or None)
        if connector.outage is not None:
            generation, connection = connector.generation, await connector.attempt()
            if len(self._open) + self._opening < limits.pool_max:
                self._add(connection, generation)
            else:
                connection.terminate()
        while len(self._open) + self._opening < min(limits.pool_min, limits.pool_max):
            self._opening += 1
            await self._open_one()
        self._open_more()

    def _drop_free(self, *, older_than: float | None) -> None:
        """Drop the free connections that are closed or expired, and gracefully those free for so many seconds."""
        free, self._free = self._free, []
        now = clock.monotonic()
        for connection in free:
            if not self._is_good(connection):
                self._discard(connection)
            elif older_than is not None and now - connection.free_since > older_than:
                self._open.discard(connection)
                self._spawn(_close(connection))
            else:
                self._free.append(connection)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, DatabaseUnavailableError) else describe(error)


async def _close(connection: Connection) -> None:
    with contextlib.suppress(asyncpg.PostgresError, *CONNECTION_ERRORS):
        await connection.close(timeout=CLOSE_SECONDS)
