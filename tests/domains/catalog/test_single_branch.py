"""Databases from before there were two branches of migrations go over by `slipway migrate` alone.

`single_branch.sql` is what the last version with a single branch ran, as its `slipway migrate --sql` printed it.
"""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from service.migrations import runner
from service.migrations.revisions import heads
from tests.conftest import DatabaseFactory
from tests.migrations.catalog import EVERYTHING, schema
from tests.migrations.conftest import connect, settings_for
from tests.migrations.test_command import dump, psql
from tests.process.conftest import Command, command
from tests.services import Client

__all__ = ["command", "connect"]
SCRIPT = (Path(__file__).parent / "single_branch.sql").read_text("utf-8")
BEGIN = re.compile(r"^(?=BEGIN;\n\n(?:CREATE TABLE alembic_version|-- Running upgrade))", re.MULTILINE)
STEPS = [step for step in BEGIN.split(SCRIPT) if step]
OLD = [f"{number:04}" for number in range(1, len(STEPS) + 1)]
# The domain has revisions from 0001, 0002, 0004 and 0010 of the single branch. `make test` starts at each of them, at
# the one before, and at the last.
NEAR = ("0001", "0002", "0003", "0004", "0009", "0010", OLD[-1])
STARTS = [
    pytest.param(revision, marks=[] if revision in NEAR else [pytest.mark.long], id=revision)
    for revision in OLD
]
QUIETLY = "\\set ON_ERROR_STOP on\nSET client_min_messages = warning;\n"
LAMPS = UUID(int=1)
CATEGORY = f"""
INSERT INTO category (id, created_by, updated_by, slug, name, description)
VALUES ('{LAMPS}', 'anna', 'anna', 'lamps', 'Lamps', '');
"""
PRODUCT = f"""
INSERT INTO product (id, created_by, updated_by, sku, name, description, price, stock, status, tags, attributes,
                     category_id)
VALUES (gen_random_uuid(), 'anna', 'anna', 'L-1', 'Lamp', '', 1, 0, 'draft', '{{}}', '{{}}', '{LAMPS}');
"""
REVISIONS = "SELECT c.version_num, d.version_num FROM alembic_version c, alembic_version_domains d"

Connect = Callable[[str], Any]
Old = Callable[[str], str]


@pytest.fixture
def old(fresh_database: DatabaseFactory) -> Old:
    """Makes a database with data, at a revision of the single branch."""

    def make(revision: str) -> str:
        url = fresh_database(migrated=False)
        done = psql(url, "".join([QUIETLY, *STEPS[: OLD.index(revision) + 1], CATEGORY, PRODUCT]))
        assert (done.returncode, done.stderr) == (0, "")
        return url

    return make


@pytest.fixture(scope="module")
async def new(services: Client, worker: int) -> dict[str, dict[str, str]]:
    """The schema of a database that was made by this version."""
    name = f"single_branch_{worker}"
    connection = await asyncpg.connect(services.create_database(name, migrated=True, shop=False))
    found = await schema(connection, EVERYTHING)
    await connection.close()
    services.drop_database(name)
    return found


@pytest.mark.parametrize("revision", STARTS)
async def test_database_at_any_old_revision_migrates_with_its_data(
    old: Old, new: dict[str, dict[str, str]], connect: Connect, revision: str
) -> None:
    url = await asyncio.to_thread(old, revision)
    done = await runner.upgrade(settings_for(url))
    assert done.after == heads()
    connection = await connect(url)
    assert await schema(connection, EVERYTHING) == new
    assert tuple(await connection.fetchrow(REVISIONS)) == (heads().chassis, heads().domains)
    assert await connection.fetchval("SELECT sku FROM product JOIN category c ON c.id = category_id") == "L-1"
    assert await connection.fetchval("SELECT count(*) FROM row_history") == 2
    assert not (await runner.upgrade(settings_for(url))).changed


@pytest.mark.parametrize("revision", ["0003", OLD[-1]])
def test_script_and_command_produce_the_same_schema(old: Old, command: Command, revision: str) -> None:
    by_script, by_command = old(revision), old(revision)
    script = command("migrate", "--sql", database__url=by_script).stdout
    assert script == command("migrate", "--sql", "--from", revision).stdout
    done = psql(by_script, script)
    assert (done.returncode, done.stderr) == (0, "")
    assert command("migrate", database__url=by_command).exit_code == 0
    assert dump(by_script) == dump(by_command)
    assert "nothing to do" in command("migrate", "--sql", database__url=by_script).stdout


async def test_concurrent_runs_record_the_revision_once(old: Old, connect: Connect) -> None:
    url = await asyncio.to_thread(old, OLD[-1])
    await asyncio.gather(*(runner.upgrade(settings_for(url), wait=30) for _ in range(3)))
    assert [row[1] for row in await (await connect(url)).fetch(REVISIONS)] == [heads().domains]
