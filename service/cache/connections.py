"""Connections to Redis, opened in the background. A command uses an open connection or fails at once."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client import Counter
from redis.asyncio.connection import AbstractConnection
from redis.credentials import CredentialProvider
from redis.exceptions import RedisError

from service.cache.single_flight import SingleFlight
from service.ending import end

CONNECTION_ERRORS = (RedisError, OSError)
END_SECONDS = 0.5

failures = Counter(
    "slipway_redis_failures",
    "Commands that Redis did not answer, or with an error, and connections that could not be opened.",
)


class NotConnectedError(Exception):
    """No connection is open yet; one is being opened."""


class ConnectError(Exception):
    """A connection could not be opened. `__cause__` says why; without a cause, connecting timed out."""


class Login(CredentialProvider):
    """Reads the password for each new connection. Redis 6 and later have users; an empty one is `default`."""

    def __init__(self, user: str, password: Callable[[], str]) -> None:
        self._user = user
        self._password = password

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        password = self._password()
        return (self._user, password) if self._user else (password,)


def authorities(file: Path | None) -> dict[str, Any]:
    """Return redis-py's argument for a file with CA certificates; none for those of the system."""
    return {} if file is None else {"ssl_ca_certs": str(file)}


class Connections:
    """At most `most` connections, each opened within `seconds`.

    `failed` is called with the error when no connection is open and none could be opened. `outdated` tells whether an
    open connection leads to the wrong server, so that it is closed instead of used.
    """

    def __init__(
        self,
        make: Callable[[], AbstractConnection],
        *,
        most: int,
        seconds: float,
        failed: Callable[[ConnectError], None],
        outdated: Callable[[AbstractConnection], bool],
    ) -> None:
        self._make = make
        self._most = most
        self._seconds = seconds
        self._failed = failed
        self._outdated = outdated
        self._idle: deque[AbstractConnection] = deque()
        self._used: set[AbstractConnection] = set()
        self._first: SingleFlight[str, None] = SingleFlight()
        self._opening: set[asyncio.Task[None]] = set()
        self._waiting: deque[asyncio.Future[AbstractConnection]] = deque()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[AbstractConnection]:
        """Yield an open connection; the caller limits the wait for a busy one. Raises `NotConnectedError`.

        If the block raises, the connection is closed, unless the error is an answer from Redis.
        """
        connection = await self._take()
        answered = False
        try:
            yield connection
            answered = True
        except RedisError:
            answered = connection.is_connected
            raise
        finally:
            # `drop` may have been called meanwhile: the connection then leads to the wrong server.
            kept = answered and connection in self._used and not self._outdated(connection)
            self._used.discard(connection)
            if kept:
                self._hand_over(connection)
            else:
                await _abandon(connection)

    async def open(self) -> None:
        """Return when a connection is open. Raises `ConnectError` when it cannot be opened."""
        if not self._idle and not self._used:
            await asyncio.shield(self.open_behind())

    def open_behind(self) -> asyncio.Task[None]:
        """Return the task that opens the first connection. If it fails, it calls `failed`."""
        return self._first.start("first", self._add)

    async def drop(self) -> None:
        """Close the idle connections now, and those in use when they are returned."""
        self._used.clear()
        idle, self._idle = self._idle, deque()
        await asyncio.gather(*map(_end, idle))

    async def close(self) -> None:
        """Close all connections, and stop opening more."""
        await self._first.close()
        await end(self._opening)
        await self.drop()

    async def _take(self) -> AbstractConnection:
        while self._idle:
            connection = self._idle.popleft()  # the longest idle one, so that every connection is used
            self._used.add(connection)
            if not self._outdated(connection) and await _usable(connection):
                return connection
            self._used.discard(connection)
            await _abandon(connection)
        if not self._used:
            self.open_behind()
            raise NotConnectedError
        if len(self._used) + len(self._opening) < self._most:
            self._add_behind()
        waiting: asyncio.Future[AbstractConnection] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            return await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                self._used.discard(waiting.result())
                self._hand_over(waiting.result())
            raise

    def _add_behind(self) -> None:
        task = asyncio.create_task(self._add())
        self._opening.add(task)
        task.add_done_callback(self._added)

    def _added(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        if not task.cancelled():
            task.exception()  # `failed` reports it if it matters

    async def _add(self) -> None:
        try:
            connection = await self._opened()
        except ConnectError as error:
            if not self._used and not self._idle:
                self._failed(error)
            raise
        self._hand_over(connection)

    async def _opened(self) -> AbstractConnection:
        connection = self._make()
        try:
            async with asyncio.timeout(self._seconds):
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py's
        except TimeoutError:
            failures.inc()
            await _end(connection)
            raise ConnectError from None
        except BaseException as error:
            await _end(connection)
            if isinstance(error, Exception):
                failures.inc()
                raise ConnectError from error
            raise
        return connection

    def _hand_over(self, connection: AbstractConnection) -> None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                self._used.add(connection)
                waiting.set_result(connection)
                return
        self._idle.append(connection)


async def _usable(connection: AbstractConnection) -> bool:
    """Whether the server has neither closed the connection nor sent unrequested data."""
    try:
        return connection.is_connected and not await connection.can_read()
    except CONNECTION_ERRORS:
        return False


async def _abandon(connection: AbstractConnection) -> None:
    """Close a connection without waiting: a request is in progress."""
    with contextlib.suppress(*CONNECTION_ERRORS):
        await connection.disconnect(nowait=True)


async def _end(connection: AbstractConnection) -> None:
    """Close a connection, without waiting for the server's TLS close."""
    with contextlib.suppress(TimeoutError, *CONNECTION_ERRORS):
        async with asyncio.timeout(END_SECONDS):
            await connection.disconnect()
