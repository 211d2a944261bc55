"""New connections, and what is known of an unreachable server and of expired connections."""

import asyncio
from typing import Any

import asyncpg
import structlog

from service import clock
from service.config import Settings
from service.database.connect import Connection, connect
from service.database.errors import CONNECTION_ERRORS, DatabaseUnavailableError, describe

log = structlog.get_logger(__name__)

EXPIRE_SECONDS = 1.0  # between two expirations of all connections


class Connector:
    """Opens connections.

    `outage` is the reason why the last attempt failed, or None; each failure sets `failed`. `generation` increases
    whenever all connections expire.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._expired_at = -EXPIRE_SECONDS
        self.outage: str | None = None
        self.failed = asyncio.Event()
        self.generation = 0
        self._accepted: str | None = None  # the password that the server last accepted

    async def connect(self) -> Connection:
        """Return a new connection for a request. While the server is unreachable, only one attempt runs at a time, so
        that a recovering server is not flooded."""
        if self.outage is not None:
            raise DatabaseUnavailableError(self.outage)
        return await self.attempt()

    async def connect_or_refuse(self, *_: Any, **__: Any) -> asyncpg.Connection:
        """As `connect`, but every failure is a `DatabaseUnavailableError`."""
        try:
            return await self.connect()
        except CONNECTION_ERRORS as error:
            raise DatabaseUnavailableError(describe(error)) from error

    async def attempt(self) -> Connection:
        """Try to connect, regardless of `outage`. Raises one of `CONNECTION_ERRORS` or `DatabaseUnavailableError`."""
        try:
            connection = await self._log_in()
        except (asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
            self.outage = describe(error)
            self.failed.set()
            if isinstance(error, CONNECTION_ERRORS):
                raise
            raise DatabaseUnavailableError(self.outage) from error  # such as a refused login
        self.outage = None
        return connection

    async def _log_in(self) -> Connection:
        """Connect with the current password, or with the one before it while the server does not know the new one: when
        a password is rotated, its file and the role cannot change at the same moment."""
        password = self._settings.database_password()
        try:
            connection = await connect(self._settings, password)
        except asyncpg.InvalidPasswordError:
            if self._accepted in {None, password}:
                raise
            connection = await connect(self._settings, self._accepted)
            log.warning("new database password refused, using the previous one")
        else:
            self._accepted = password
        return connection

    def expire(self) -> bool:
        """Expire every connection made so far: if one was lost, most likely all were.

        Returns False if that was done a moment ago.
        """
        now = clock.monotonic()
        if now - self._expired_at < EXPIRE_SECONDS:
            return False
        self._expired_at = now
        self.generation += 1
        return True
