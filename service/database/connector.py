"""New connections for both pools, which share the state of an unreachable server and of expired connections."""

import asyncio
from typing import Any

import asyncpg

from service import clock
from service.config import Settings
from service.database.connect import connect
from service.database.errors import CONNECTION_ERRORS, DatabaseUnavailableError, describe

EXPIRE_SECONDS = 1.0  # between two expirations of all connections


class Connector:
    """Opens connections.

    `away` is the reason why the last attempt failed, or None; each failure sets `missed`. `age` increases whenever all
    connections expire.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._expired_at = -EXPIRE_SECONDS
        self.away: str | None = None
        self.missed = asyncio.Event()
        self.age = 0

    async def connect(self, *_: Any, **__: Any) -> asyncpg.Connection:
        """Return a new connection for a request. While the server is unreachable, only one attempt runs at a time, so
        that a recovering server is not flooded."""
        if self.away is not None:
            raise DatabaseUnavailableError(self.away)
        return await self.knock()

    async def connect_or_refuse(self, *_: Any, **__: Any) -> asyncpg.Connection:
        """As `connect`, but every failure is a `DatabaseUnavailableError`."""
        try:
            return await self.connect()
        except CONNECTION_ERRORS as error:
            raise DatabaseUnavailableError(describe(error)) from error

    async def knock(self) -> asyncpg.Connection:
        """Try to connect, regardless of `away`. Raises one of `CONNECTION_ERRORS` or `DatabaseUnavailableError`."""
        try:
            connection = await connect(self._settings)
        except (asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
            self.away = describe(error)
            self.missed.set()
            if isinstance(error, CONNECTION_ERRORS):
                raise
            raise DatabaseUnavailableError(self.away) from error  # for example, the server refuses the login
        self.away = None
        return connection

    def expire(self) -> bool:
        """Expire every connection made so far: if one was lost, most likely all were.

        Returns False if that was done a moment ago.
        """
        now = clock.monotonic()
        if now - self._expired_at < EXPIRE_SECONDS:
            return False
        self._expired_at = now
        self.age += 1
        return True
