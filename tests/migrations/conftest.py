"""Connections, and Alembic on a test's database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import asyncpg
import pytest
from alembic.command import downgrade as alembic_downgrade
from sqlalchemy.engine import Connection

from service.config import Settings
from service.database import Database
from service.migrations import runner
from service.migrations.branches import Branch
from tests.conftest import DatabaseFactory
from tests.migrations.roles import fresh, granted, new_role, owned, roles
from tests.migrations.writing import package, write
from tests.process.conftest import command

Migrate = Callable[..., Any]
__all__ = ["command", "fresh", "granted", "new_role", "owned", "package", "roles", "write"]


def settings_for(url: str, **database: object) -> Settings:
    given = {"url": url, "migration_lock_timeout": 0.5, **database}
    return Settings.model_validate({"app": {"environment": "test"}, "database": given})


async def in_database(url: str, work: Callable[[Connection], object]) -> None:
    """Run synchronous code on a SQLAlchemy connection, and commit."""
    database = Database(settings_for(url))
    try:
        async with database.session() as session:
            await (await session.connection()).run_sync(work)
    finally:
        await database.stop()


async def downgrade(url: str, branch: Branch, revision: str) -> None:
    """Undo migrations of a branch down to a revision, as `alembic downgrade` does."""

    def work(connection: Connection) -> None:
        config = runner.configuration(branch)
        config.attributes["connection"] = connection
        alembic_downgrade(config, revision)

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
def fresh_database(fresh_database: DatabaseFactory) -> DatabaseFactory:
    """Creates databases whose migrated schema has nothing beyond the migrations."""
    return partial(fresh_database, shop=False)


@pytest.fixture
async def db(fresh_database: DatabaseFactory, connect: Callable[[str], Any]) -> Any:
    """A connection to a new database at the head."""
    return await connect(fresh_database())


async def within(seconds: float, found: Callable[[], Awaitable[Any]]) -> Any:
    """Return the first true value; fail when the time is over."""
    async with asyncio.timeout(seconds):
        while True:
            if value := await found():
                return value
            await asyncio.sleep(0.05)
