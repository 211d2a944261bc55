"""Databases, and the first steps of `slipway dev` in one."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from service.config import Settings
from service.dev.database_setup import set_up_database
from service.dev.databases import create_database, drop_database
from service.dev.private_files import read_secret
from service.resources.domain import Example, Seed
from tests.conftest import DatabaseFactory
from tests.dev.help import ask


def _settings(url: str) -> Settings:
    return Settings.model_validate(
        {"app": {"environment": "test"}, "database": {"url": url}, "redis": {"enabled": False}}
    )


def _seed(*, empty: bool, loaded: list[str], name: str) -> Seed:
    async def is_empty(_: AsyncSession) -> bool:
        return empty

    async def load(_: AsyncSession) -> str:
        loaded.append(name)
        return f"added {name}"

    async def examples(_: AsyncSession) -> Sequence[Example]:
        return [Example(name)]

    return Seed(load, is_empty, examples)


async def test_key_is_kept_and_rows_are_not_loaded_again(
    fresh_database: DatabaseFactory, tmp_path: Path
) -> None:
    loaded, lines = list[str](), list[str]()
    seeds = [_seed(empty=empty, loaded=loaded, name=f"empty-{empty}") for empty in (True, False)]
    url = fresh_database()
    made = await set_up_database(_settings(url), tmp_path, seeds, lines.append)
    assert (loaded, lines) == (["empty-True"], ["added empty-True"])
    assert made.examples == [Example("empty-True"), Example("empty-False")]
    file = tmp_path / "api_key"
    assert (read_secret(file), file.stat().st_mode & 0o777) == (made.api_key, 0o600)
    assert (await set_up_database(_settings(url), tmp_path, [], lines.append)).api_key == made.api_key
    file.write_text(f"{made.api_key[:-1]}-")  # as of another database
    assert (await set_up_database(_settings(url), tmp_path, [], lines.append)).api_key == read_secret(file)
    assert (
        await ask(url, "SELECT string_agg(array_to_string(scopes, ' '), ',') FROM api_key") == "admin,admin"
    )
    others = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND backend_type = 'client backend'"
    )
    async with asyncio.timeout(10):
        while await ask(url, others) != 1:  # noqa: ASYNC110  # the server says nothing of its own accord
            await asyncio.sleep(0.01)


async def test_databases_are_made_and_dropped_as_often_as_asked(database_url: str) -> None:
    name = 'made "twice"'
    server, _, current = database_url.rpartition("/")
    for _ in range(2):
        await create_database(database_url, name, template="template0")
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await create_database(database_url, "not made", template="no such template")
    connection = await asyncpg.connect(database_url.replace(f"/{current}", f"/{name}"))
    for _ in range(2):
        await drop_database(database_url, name)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(f"{server}/{name}")
    connection.terminate()
