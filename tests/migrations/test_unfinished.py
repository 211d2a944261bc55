"""A migration that did not finish leaves its reason in the database, for a pod's gate and for other versions."""

import asyncio
import re
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from service.database import DatabaseUnavailableError
from service.migrations import branches
from service.migrations.branches import CHASSIS
from service.migrations.runner import check, upgrade
from tests.conftest import DatabaseFactory
from tests.migrations.conftest import settings_for, within
from tests.migrations.roles import Roles, execute
from tests.migrations.test_running import SLEEPING, UNLESS_HURRIED, Connect
from tests.migrations.writing import Write
from tests.process.conftest import Command
from tests.process.served import slipway

WHEN = r"20\d\d-\d\d-\d\d \d\d:\d\d UTC"


def test_started_processes_report_why_the_first_migration_failed(
    fresh_database: DatabaseFactory, tmp_path: Path
) -> None:
    url = fresh_database(migrated=False)
    asyncio.run(execute(url, "CREATE TABLE api_key (id int)"))
    failed = slipway(tmp_path, "migrate", database__url=url)
    reason = failed.stderr.rpartition("slipway: ")[2].strip()
    assert (failed.returncode, reason.endswith('relation "api_key" already exists')) == (6, True)
    gate = slipway(tmp_path, "migrate", "--check", database__url=url)
    assert gate.returncode == 7
    said = rf"slipway: the database is at .*, this version needs .*; the migration to .* failed at {WHEN}: "
    assert re.search(rf"^{said}{re.escape(reason)}$", gate.stderr, re.MULTILINE), gate.stderr


async def test_reason_outlives_a_rollback_until_the_migration_succeeds(
    granted: Roles, command: Command, write: Write, package: Path
) -> None:
    def run(*arguments: str, url: str = granted.owner_url) -> Any:
        settings = {"database__url": url} | (
            {} if "--check" in arguments else {"database__app_role": granted.app}
        )
        return asyncio.to_thread(command, "migrate", *arguments, **settings)

    write("broken", "SELECT 1 / 0")
    assert (await run()).exit_code == 6
    gate = await run("--check", url=granted.app_url)
    said = rf"the migration to revision broken .* failed at {WHEN}: migration broken failed; .*: division by zero\n"
    assert gate.exit_code == 7
    assert re.search(rf"; {said}$", gate.stderr)

    (package / CHASSIS.folder / "broken.py").unlink()
    branches.scripts.cache_clear()
    assert (await run()).stdout.startswith("already at ")
    gate = await run("--check", url=granted.app_url)
    assert gate.exit_code == 0
    assert re.search(rf"^slipway: {said}$", gate.stderr, re.MULTILINE)

    write("fixed", "SELECT 1")
    assert (await run()).stdout.startswith("migrated to ")
    gate = await run("--check", url=granted.app_url)
    # An application that other tests of this process share may say that it lacks the migration.
    assert (gate.exit_code, "slipway: " in gate.stderr) == (0, False)


async def test_refused_role_is_reported_until_a_run_succeeds(granted: Roles) -> None:
    sound = settings_for(granted.owner_url, app_role=granted.app)
    wrong = settings_for(granted.owner_url, app_role="nobody_made_this")
    with pytest.raises(Exception, match="role nobody_made_this does not exist"):
        await upgrade(wrong)
    assert "role nobody_made_this does not exist" in (await check(sound)).unfinished
    assert not (await upgrade(sound)).changed
    assert (await check(sound)).unfinished == ""


async def test_interrupted_migration_leaves_when_it_began(
    fresh_database: DatabaseFactory, connect: Connect, write: Write
) -> None:
    url = fresh_database()
    write("slow", UNLESS_HURRIED)
    killer: asyncpg.Connection = await connect(url)
    migrating = asyncio.create_task(upgrade(settings_for(url)))
    pid = await within(20, lambda: killer.fetchval(SLEEPING))
    await killer.execute(f"SELECT pg_terminate_backend({pid})")
    with pytest.raises(DatabaseUnavailableError):
        await migrating
    with pytest.raises(
        Exception, match=rf"; the migration to revision slow .* began at {WHEN} and has not fini"
    ):
        await check(settings_for(url))
