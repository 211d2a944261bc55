"""The two branches of migrations: the chassis alone, domains that join it, and databases from before the branches."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.domains import DOMAINS as DECLARED
from service.migrations import runner
from service.migrations.branches import BRANCHES, CHASSIS, DOMAINS, Branch, head, known
from service.migrations.errors import NotAtHeadError
from service.migrations.revisions import Position, heads, steps
from tests.conftest import DatabaseFactory
from tests.engine.api import running
from tests.migrations.conftest import settings_for
from tests.migrations.lint import lint
from tests.migrations.writing import Write, remove_domains
from tests.process.conftest import Command

Connect = Callable[[str], Any]
TABLE = "CREATE TABLE {0} (id int)"
TABLES = "SELECT array_agg(relname) FROM pg_class WHERE relname IN ('moved', 'last', 'new')"


def test_chassis_alone_migrates(command: Command, fresh_database: DatabaseFactory, package: Path) -> None:
    remove_domains(package)
    url, at = fresh_database(migrated=False), f"{head(CHASSIS)} (chassis)"
    script = command("migrate", "--sql", "--from", "none").stdout
    assert f"from revision none to {at}. " in script
    assert command("migrate", database__url=url).stdout == f"migrated to revision {at}\n"
    assert command("migrate", "--check", database__url=url).stdout == f"the database is at revision {at}\n"
    assert command("migrate", database__url=url).stdout == f"already at revision {at}\n"
    assert lint() == []


async def test_first_domain_migrates_an_existing_chassis(
    fresh_database: DatabaseFactory, package: Path, write: Write, connect: Connect
) -> None:
    remove_domains(package)
    url = fresh_database(migrated=False)
    await runner.upgrade(settings_for(url))
    write("new", TABLE.format("new"), branch=DOMAINS)
    assert (await runner.upgrade(settings_for(url))).after == Position(head(CHASSIS), "new")
    assert await (await connect(url)).fetchval(TABLES) == ["new"]


@pytest.fixture
def moved(package: Path, write: Write) -> None:
    """A branch of the domains whose first two revisions were part of the chassis' 0002 and 0005."""
    remove_domains(package)
    write("moved", TABLE.format("moved"), branch=DOMAINS, formerly="0002")
    write("last", TABLE.format("last"), branch=DOMAINS, formerly="0005")
    write("new", TABLE.format("new"), branch=DOMAINS)


BEFORE = {"0001": ["last", "moved", "new"], "0004": ["last", "new"], "0005": ["new"], "strange": ["new"]}


@pytest.mark.usefixtures("moved")
@pytest.mark.parametrize("revision", BEFORE)
async def test_database_from_before_the_branches_runs_missing_revisions(
    fresh_database: DatabaseFactory, connect: Connect, revision: str
) -> None:
    url = fresh_database(migrated=False)
    connection = await connect(url)
    strange = revision not in known(CHASSIS)
    await runner.upgrade(settings_for(url), to=known(CHASSIS)[-1] if strange else revision)
    await connection.execute("DROP TABLE alembic_version_domains")
    if strange:
        await connection.execute("UPDATE alembic_version SET version_num = 'strange'")
    done = await runner.upgrade(settings_for(url))
    assert done.after == Position("strange" if strange else head(CHASSIS), "new")
    assert sorted(await connection.fetchval(TABLES)) == BEFORE[revision]


@pytest.mark.usefixtures("moved")
async def test_new_database_stopped_between_branches_is_not_taken_for_old(
    fresh_database: DatabaseFactory, connect: Connect
) -> None:
    url = fresh_database(migrated=False)
    await runner.upgrade(settings_for(url), to=known(CHASSIS)[-1])
    await runner.upgrade(settings_for(url))
    assert sorted(await (await connect(url)).fetchval(TABLES)) == ["last", "moved", "new"]


@pytest.mark.parametrize("branch", BRANCHES, ids=lambda branch: branch.name)
async def test_error_names_the_branch_that_is_behind(
    fresh_database: DatabaseFactory, write: Write, branch: Branch
) -> None:
    url, at = fresh_database(), heads().of(branch)
    write("next", "SELECT 1", branch=branch)
    needed = f"next ({branch.name})"
    with pytest.raises(NotAtHeadError) as caught:
        await runner.check(settings_for(url))
    assert str(caught.value) == f"the database is at revision {at}, this version needs {needed}"
    async with running(url, domains=DECLARED) as api:
        health = api.app.state.health
        assert (await health.checks())["database"].detail == f"at revision {at}, needs {needed}"
        await runner.upgrade(settings_for(url))


def test_newer_branch_is_left_alone_while_the_other_migrates(write: Write) -> None:
    write("next", branch=DOMAINS)
    assert steps(Position("newer", known(DOMAINS)[-2] if known(DOMAINS)[1:] else None), heads()) == {
        DOMAINS: ("next",)
    }
    assert steps(Position(known(CHASSIS)[-2], "newer"), heads()) == {CHASSIS: (head(CHASSIS),)}
