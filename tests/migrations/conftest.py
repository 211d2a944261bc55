"""Connections, and Alembic on a database of a test's own."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest
from alembic import command
from sqlalchemy.engine import Connection

from service.config import Settings
from service.database import Database
from service.migrations import runner
from tests.conftest import DatabaseFactory
from tests.migrations.roles import roles

Migrate = Callable[..., Any]
__all__ = ["roles"]


def settings_for(url: str, **database: object) -> Settings:
    given = {"url": url, "migration_lock_timeout": 0.5, **database}
    return Settings.model_validate({"app": {"environment": "test"}, "database": given})


async def in_database(url: str, work: Callable[[Connection], object]) -> None:
    """Run synchronous work on a connection of SQLAlchemy's, and commit."""
    database = Database(settings_for(url))
    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(work)
    finally:
        await database.stop()


async def downgrade(url: str, revision: str) -> None:
    """Undo migrations down to a revision, as `alembic downgrade` does."""

    def work(connection: Connection) -> None:
        config = runner.configuration()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)

    await in_database(url, work)


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[str], Any]]:
    """Opens connections, which are closed after the test."""
    opened: list[asyncpg.Connection] = []

    async def open_one(url: str) -> asyncpg.Connection:
        opened.append(await asyncpg.connect(url))
        return opened[-1]

    yield open_one
    for connection in opened:
        await connection.close()


@pytest.fixture
async def db(fresh_database: DatabaseFactory, connect: Callable[[str], Any]) -> Any:
    """A connection to a database of this test's own, at the head."""
    return await connect(fresh_database())
