"""Backup commands in this process, on databases with rows of the shop."""

import asyncio
import base64
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from typer.testing import Result

from service.dev.databases import drop_database
from service.main import create_app
from tests.conftest import DatabaseFactory
from tests.process.conftest import Command, command
from tests.shop import SHOP

__all__ = ["command"]

KEY, OTHER_KEY = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
ROWS = """
INSERT INTO tests_shelf (id, slug, name, description, created_by, updated_by)
SELECT gen_random_uuid(), 'shelf-' || n, 'Shelf ' || n, '', 'test', 'test' FROM generate_series(1, {count}) AS n
"""

# A table that no compression makes smaller.
BULK = """
CREATE TABLE bulk AS SELECT n, (
  SELECT string_agg(sha512((n || '-' || m)::text::bytea), '') FROM generate_series(1, 1024) m
) FROM generate_series(1, 16 * {mib}) n
"""

Backup = Callable[..., Result]


def name_of(url: str) -> str:
    return urlsplit(url).path[1:]


def renamed(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def sql(url: str, statement: str, *arguments: object) -> list[asyncpg.Record]:
    """Run a statement on a database, outside a loop."""

    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    found: list[asyncpg.Record] = asyncio.run(run())
    return found


@pytest.fixture
def filled(fresh_database: DatabaseFactory) -> str:
    """The URL of a database of its own, with 50 rows and their history."""
    url = fresh_database()
    sql(url, ROWS.format(count=50))
    return url


@pytest.fixture
def empty(fresh_database: DatabaseFactory) -> str:
    """The URL of an empty database."""
    return fresh_database(migrated=False)


@pytest.fixture
def kept(filled: str) -> Iterator[list[str]]:
    """Names of databases to drop after the test."""
    names: list[str] = []
    yield names
    for name in names:
        asyncio.run(drop_database(renamed(filled, "postgres"), name))


@pytest.fixture
def shop_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drills in this process test the service with the shop as its domain."""
    monkeypatch.setattr("service.cli.smoke_test.create_app", partial(create_app, domains=(SHOP,)))


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """The folder that backups are stored in."""
    return tmp_path / "backups"


@pytest.fixture
def backup(command: Command, filled: str, storage: Path) -> Backup:
    """Runs `slipway backup` with a key."""

    def run(*arguments: str, **settings: object) -> Result:
        given = {"database__url": filled, "backup__storage": storage, "backup__key": KEY, **settings}
        return command("backup", *arguments, **given)

    return run
