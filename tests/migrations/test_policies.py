"""What policies of row-level security let SQL of the service's role see and write."""

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from service.migrations.row_security import secure_rows, unsecure_rows
from tests.conftest import DatabaseFactory
from tests.engine.secured import in_migration, role_of_the_service
from tests.migrations.roles import execute
from tests.shop.tables import in_database

PAST = (("thing", 1, "a"), ("thing", 2, "a"), ("other", 3, "b"), ("free", 4, None))
"""Table, number of the row and owner of each version. Now, the second thing is b's."""
HISTORY = "SELECT table_name, right(row_id::text, 1)::int FROM row_history"


@pytest.fixture
async def urls(fresh_database: DatabaseFactory) -> AsyncIterator[tuple[str, str]]:
    """A database with two secured tables, for its owner and for the service's role."""
    url = fresh_database()
    await execute(
        url,
        *(f"CREATE TABLE {table} (id uuid PRIMARY KEY, owner text)" for table in ("thing", "other")),
        f"INSERT INTO thing VALUES ('{UUID(int=1)}', 'a'), ('{UUID(int=2)}', 'b')",
        f"INSERT INTO other VALUES ('{UUID(int=3)}', 'b')",
        *(
            'INSERT INTO row_history (table_name, row_id, version, action, actor, at, "row") VALUES '
            f"('{table}', '{UUID(int=row)}', 1, 'create', 'x', now(), '{json.dumps({'owner': owner})}')"
            for table, row, owner in PAST
        ),
    )
    for table in ("thing", "other"):
        await in_database(url, in_migration(partial(secure_rows, table, "owner")))
    async with role_of_the_service(url) as app_url:
        yield url, app_url


async def _as_caller(connection: asyncpg.Connection, **rows: object) -> None:
    await connection.execute("SELECT set_config('slipway.rows', $1, false)", json.dumps(rows))


async def test_history_is_that_of_the_rows_that_a_caller_has_now(
    urls: tuple[str, str], connect: Callable[[str], Any]
) -> None:
    connection = await connect(urls[1])

    async def past(**rows: object) -> set[tuple[str, int]]:
        await _as_caller(connection, **rows)
        return {tuple(row) for row in await connection.fetch(HISTORY)}

    free, things = ("free", 4), {("thing", 1), ("thing", 2)}
    assert await past(own={"thing": "a"}) == {("thing", 1), free}
    assert await past(own={"thing": "b", "other": "b"}) == {("other", 3), free}
    assert await past(all=["thing"]) == {*things, free}
    assert await past(all=["*"]) == {*things, ("other", 3), free}
    await in_database(urls[0], in_migration(lambda: unsecure_rows("thing", "owner")))
    assert await past() == {*things, free}


async def test_stored_responses_are_those_of_the_caller(
    urls: tuple[str, str], connect: Callable[[str], Any]
) -> None:
    await execute(
        urls[0],
        *(
            "INSERT INTO idempotency_record (principal, key, fingerprint, status, headers, body, caller, created_at) "
            f"VALUES ('key:x', '{name}', '\\x00', 201, '{{}}', '', {caller}, now())"
            for name, caller in (("hers", "'a'"), ("his", "'b'"), ("old", "NULL"))
        ),
    )
    connection = await connect(urls[1])

    async def stored(**rows: object) -> list[str]:
        await _as_caller(connection, **rows)
        return [
            row["key"] for row in await connection.fetch("SELECT key FROM idempotency_record ORDER BY key")
        ]

    assert await stored(caller="a") == ["hers"]
    assert await stored(own={"thing": "a"}) == []
    assert await stored(all=["thing"]) == []
    assert await stored(all=["*"]) == ["hers", "his", "old"]


async def test_table_with_another_owner_stays_secured(
    urls: tuple[str, str], connect: Callable[[str], Any]
) -> None:
    """As when a release secures rows by a new column, and the next one removes the old."""
    connection = await connect(urls[1])
    await execute(urls[0], "ALTER TABLE thing ADD team text", "UPDATE thing SET team = owner")
    await in_database(urls[0], in_migration(lambda: secure_rows("thing", "team")))
    await in_database(urls[0], in_migration(lambda: unsecure_rows("thing", "owner")))
    await _as_caller(connection, own={"thing": "a"})
    assert await connection.fetchval("SELECT array_agg(team) FROM thing") == ["a"]
    await in_database(urls[0], in_migration(lambda: unsecure_rows("thing", "team")))
    assert await connection.fetchval("SELECT array_agg(team) FROM thing") == ["a", "b"]
    assert await connection.fetchval("SELECT count(*) FROM row_history") == 3, "the other table is secured"


async def test_rows_of_another_owner_cannot_be_written(
    urls: tuple[str, str], connect: Callable[[str], Any]
) -> None:
    connection = await connect(urls[1])
    await _as_caller(connection, own={"thing": "a"})
    for statement in (
        f"INSERT INTO thing VALUES ('{UUID(int=5)}', 'b')",
        "UPDATE thing SET owner = 'b'",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="violates row-level security policy"):
            await connection.execute(statement)
    assert await connection.execute("UPDATE thing SET owner = 'a'") == "UPDATE 1"
