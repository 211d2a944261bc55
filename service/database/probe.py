"""A connection reserved for probes."""

import asyncio

import asyncpg

from service.database.connector import Connector
from service.database.errors import CONNECTION_ERRORS, DatabaseUnavailableError, describe
from service.database.out_of_resources import is_out_of_resources, out_of_resources


class Probe:
    """One connection outside the pools, so that a busy pool does not look like a lost server."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._connection: asyncpg.Connection | None = None
        self._asking = asyncio.Lock()

    def stop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Run one statement, one at a time. Raises `DatabaseUnavailableError`, or what the statement raises."""
        async with self._asking:
            return await self._fetch(sql, *arguments)

    async def _fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._connector.attempt()
            async with self._connection.transaction():
                rows: list[asyncpg.Record] = await self._connection.fetch(sql, *arguments)
                return rows
        except BaseException as error:
            if self._connection is not None and not isinstance(error, asyncpg.UndefinedTableError):
                self._connection.terminate()
                self._connection = None
            if isinstance(error, CONNECTION_ERRORS):
                raise DatabaseUnavailableError(describe(error)) from error
            if isinstance(error, asyncpg.PostgresError) and is_out_of_resources(error):
                raise out_of_resources(error) from error
            raise
