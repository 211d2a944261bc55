"""Real processes on real servers."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from service.cli.command_line import application
from service.config import Settings
from service.database import Database
from service.security.api_keys.commands import create_key
from tests.engine.api import CLAIMS
from tests.isolation import log_plainly
from tests.process.served import Served, command_environment

Serve = Callable[..., Served]
Command = Callable[..., Result]


@pytest.fixture
def serve(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Serve]:
    """Starts a service on this worker's database and Redis, unless settings say otherwise. Stops it after the
    test."""
    made: list[Served] = []

    def start(**settings: object) -> Served:
        given = {"database__url": database_url, "redis__url": redis_url, **settings}
        made.append(Served(tmp_path / f"service-{len(made)}", **given))
        return made[-1]

    yield start
    for service in made:
        service.close()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, database_url: str, redis_url: str) -> Iterator[Served]:
    """A ready service shared by tests that do not change it."""
    home = tmp_path_factory.mktemp("shared")
    given = {"redis__timeout": 1, "security__key_cache_seconds": 0.3}
    service = Served(home, database__url=database_url, redis__url=redis_url, **given)
    yield service.ready()
    service.close()


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop_commands: None) -> Iterator[Command]:
    """Runs a `slipway` command with the shop in this process, which saves the start of a new one."""
    monkeypatch.chdir(tmp_path)
    handlers, level = logging.root.handlers[:], logging.root.level
    runner = CliRunner()

    def run(*arguments: str, **settings: object) -> Result:
        wanted = command_environment(**settings)
        removed = {name: None for name in os.environ if name.startswith("SLIPWAY_")}
        return runner.invoke(application(arguments), arguments, env={**removed, **wanted})

    yield run
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    log_plainly()


async def new_key(database_url: str, *scopes: str, **more: Any) -> str:
    """Create an API key in the database, which acts for a tenant of the shop."""
    database = Database(Settings.model_validate({"database": {"url": database_url}}))
    try:
        async with database.session() as session:
            _, key = await create_key(
                session, name="process test", scopes=scopes, **({"claims": CLAIMS} | more)
            )
    finally:
        await database.stop()
    return key


async def age_keys(database_url: str) -> None:
    """Backdate the keys of the database by a year."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("UPDATE api_key SET created_at = created_at - interval '1 year'")
    finally:
        await connection.close()


@pytest.fixture
async def headers(database_url: str) -> dict[str, str]:
    """The header of a key with all scopes of the shop."""
    return {"Authorization": f"Bearer {await new_key(database_url, 'shop:read', 'shop:write')}"}
