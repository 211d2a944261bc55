"""A database whose encoding is not UTF-8 is refused at once, not later for single values."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from service.migrations.branches import CHASSIS, known
from tests.conftest import DatabaseFactory
from tests.engine.api import running
from tests.migrations.roles import execute
from tests.migrations.test_command import psql
from tests.process.conftest import Command


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
async def other(
    request: pytest.FixtureRequest, fresh_database: DatabaseFactory
) -> AsyncIterator[tuple[str, str]]:
    """(URL, encoding) of an empty database with that encoding."""
    server, encoding = fresh_database(migrated=False), request.param
    name = f"{urlsplit(server).path[1:]}_{encoding.lower()}"
    options = f"ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
    await execute(server, f'CREATE DATABASE "{name}" {options}')
    yield urlunsplit(urlsplit(server)._replace(path=f"/{name}")), encoding
    await execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


async def test_migrate_refuses_and_changes_nothing(command: Command, other: tuple[str, str]) -> None:
    url, encoding = other
    for arguments in (
        ("migrate",),
        ("migrate", "--check"),
        ("migrate", "--to", "0001"),
        ("migrate", "--sql"),
        ("seed",),
    ):
        done = await asyncio.to_thread(command, *arguments, database__url=url)
        assert done.exit_code == 6, (arguments, done.output)
        assert done.stderr.startswith(
            f"slipway: the database's encoding is {encoding}, but UTF8 is required: "
        )
    connection = await asyncpg.connect(url)
    assert (
        await connection.fetchval("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        == 0
    )
    await connection.close()


async def test_database_migrated_by_an_earlier_version_is_not_ready(
    command: Command, other: tuple[str, str]
) -> None:
    url, encoding = other
    # The current script stops before it changes anything; older ones did not check.
    script = (await asyncio.to_thread(command, "migrate", "--sql", "--from", "none")).stdout
    assert f"encoding is {encoding}" in psql(url, script).stderr
    asks = script.index("DO $$ BEGIN"), script.index("END $$;\n\n") + 8
    assert psql(url, script[: asks[0]] + script[asks[1] :]).returncode == 0
    async with running(url) as api:
        health = api.app.state.health
        assert not await health.ready()
        assert (await health.checks())["database"].detail.startswith(
            f"the database's encoding is {encoding}, "
        )
    assert known(CHASSIS)[-1] in psql(url, "SELECT version_num FROM alembic_version").stdout
