"""Backup commands in this process, on databases with rows of the shop."""

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import Result

from tests.conftest import DatabaseFactory
from tests.process.conftest import Command, command

__all__ = ["command"]

KEY, OTHER_KEY = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
ROWS = """
INSERT INTO tests_shelf (id, slug, name, description, created_by, updated_by)
SELECT gen_random_uuid(), 'shelf-' || n, 'Shelf ' || n, '', 'test', 'test' FROM generate_series(1, {count}) AS n
"""

Backup = Callable[..., Result]


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
