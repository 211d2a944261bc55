"""New connections for both pools, which share what is known of a server that is away, and of connections to give up."""

import asyncio
from typing import Any

import asyncpg

from service import clock
from service.config import Settings
from service.database.connect import connect
from service.database.errors import CONNECTION_ERRORS, DatabaseUnavailableError, describe

EXPIRE_SECONDS = 1.0  # between two times that all connections are given up


class Connector:
    """Opens connections.

    `away` is the reason why the last attempt failed, or None; `missed` is set by each failure. `age` rises whenever
    all connections are given up.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._expired_at = -EXPIRE_SECONDS
        self.away: str | None = None
        self.missed = asyncio.Event()
        self.age = 0

    async def connect(self, *_: Any, **__: Any) -> asyncpg.Connection:
        """A new connection for a request. While the server is away, one attempt at a time knocks for all: a server that
        is about to come back has better things to do than to turn away hundreds."""
        if self.away is not None:
            raise DatabaseUnavailableError(self.away)
        return await self.knock()

    async def connect_or_refuse(self, *_: Any, **__: Any) -> asyncpg.Connection:
        """As `connect`. Every failure is a `DatabaseUnavailableError`."""
        try:
            return await self.connect()
        except CONNECTION_ERRORS as error:
            raise DatabaseUnavailableError(describe(error)) from error

    async def knock(self) -> asyncpg.Connection:
        """Try to connect, whatever is known. Raises one of `CONNECTION_ERRORS` or `DatabaseUnavailableError`."""
        try:
            connection = await connect(self._settings)
        except (asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
            self.away = describe(error)
            self.missed.set()
            if isinstance(error, CONNECTION_ERRORS):
                raise
            raise DatabaseUnavailableError(self.away) from error  # whatever keeps it from letting us in
        self.away = None
        return connection

    def expire(self) -> bool:
        """Give up every connection made so far: what has happened to one has most likely happened to all.

        False when that was done a moment ago.
        """
        now = clock.monotonic()
        if now - self._expired_at < EXPIRE_SECONDS:
            return False
        self._expired_at = now
        self.age += 1
        return True
