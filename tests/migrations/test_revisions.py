"""Facts about migrations that are read without running them."""

import asyncio
from pathlib import Path

import pytest

from service.migrations import branches
from service.migrations.branches import BRANCHES, CHASSIS, DOMAINS, Branch, head, known
from service.migrations.errors import ScriptsError
from service.migrations.revisions import Position
from service.migrations.version_tables import recording
from tests.backup.conftest import sql
from tests.conftest import DatabaseFactory
from tests.engine.api import running
from tests.migrations.lint import lint
from tests.migrations.roles import execute
from tests.migrations.writing import Write
from tests.process.conftest import Command

ANNOTATED = """
revision: str = "annotated"
down_revision: str | None = "first"
branch_labels: str | None = None
"""
EACH_BRANCH = pytest.mark.parametrize("branch", BRANCHES, ids=lambda branch: branch.name)


def put(package: Path, branch: Branch, file: str, text: str) -> None:
    (package / branch.folder / file).write_text(text)
    branches.scripts.cache_clear()


def test_annotated_constants_are_read(write: Write, package: Path) -> None:
    """Alembic's default template writes them this way."""
    write("first", "SELECT 1")
    put(package, CHASSIS, "annotated.py", ANNOTATED)
    assert known(CHASSIS)[-2:] == ("first", "annotated")


@pytest.mark.parametrize("missing", ["revision", "down_revision"])
def test_revision_without_constants_is_reported(write: Write, package: Path, missing: str) -> None:
    write("first", "SELECT 1")
    put(package, CHASSIS, "unsaid.py", ANNOTATED.replace(f"\n{missing}:", "\nother:"))
    with pytest.raises(ScriptsError, match=rf"migration unsaid\.py does not set {missing} to a constant"):
        branches.scripts()


def test_revision_id_that_is_too_long_is_refused(write: Write, package: Path) -> None:
    long = "orders_" + "x" * 26
    put(package, DOMAINS, "long.py", f'revision = "{long}"\ndown_revision = None\n')
    with pytest.raises(
        ScriptsError, match=rf"long\.py has the revision {long}: an id has at most 32 characters"
    ):
        branches.scripts()


TWINS = {
    "two heads": (
        ("left", "first"),
        ("right", "first"),
        "the branch {0} has two heads: left.py and right.py both follow first; let one of them follow the other",
    ),
    "one id twice": (
        ("next", "first"),
        ("next", "left"),
        "the migrations left.py ({0}) and right.py ({0}) both have the revision next; give one of them another id",
    ),
    "no way to the first": (
        ("left", "right"),
        ("right", "left"),
        "the branch {0} is not a single line from a first migration: left.py follows right, right.py follows left",
    ),
}


def refused_everywhere(command: Command, url: str, told: str) -> None:
    for arguments in (
        ("migrate",),
        ("migrate", "--check"),
        ("migrate", "--sql"),
        ("migrate", "--to", "first"),
        ("serve",),
    ):
        done = command(*arguments, database__url=url)
        assert (done.exit_code, done.stderr) == (6, f"slipway: {told}\n"), arguments
    assert lint() == [told]


@EACH_BRANCH
@pytest.mark.parametrize("kind", TWINS)
def test_contradictory_migrations_are_refused_everywhere(
    package: Path, command: Command, database_url: str, kind: str, branch: Branch
) -> None:
    put(package, branch, "first.py", f'revision = "first"\ndown_revision = {head(branch)!r}\n')
    left, right, told = TWINS[kind]
    for file, (revision, follows) in (("left", left), ("right", right)):
        put(package, branch, f"{file}.py", f'revision = "{revision}"\ndown_revision = "{follows}"\n')
    refused_everywhere(command, database_url, told.format(branch.name))


def test_one_id_in_both_branches_is_refused_everywhere(
    write: Write, package: Path, command: Command, database_url: str
) -> None:
    write("first", "SELECT 1")
    put(package, DOMAINS, "orders.py", 'revision = "first"\ndown_revision = "elsewhere"\n')
    told = (
        "the migrations first.py (chassis) and orders.py (domains) both have the revision first; "
        "give one of them another id"
    )
    refused_everywhere(command, database_url, told)


@EACH_BRANCH
async def test_database_at_two_revisions_is_refused(
    command: Command, fresh_database: DatabaseFactory, branch: Branch
) -> None:
    url = fresh_database()
    await execute(url, f"DELETE FROM {branch.table}", f"INSERT INTO {branch.table} VALUES ('0001'), ('0002')")
    several = f"at several revisions of the branch {branch.name}"
    for arguments in ("migrate",), ("migrate", "--check"), ("migrate", "--sql"):
        done = await asyncio.to_thread(command, *arguments, database__url=url)
        assert done.exit_code == 6
        assert done.stderr.startswith(f"slipway: the database is {several} at once: 0001, 0002; ")
    async with running(url) as api:
        health = api.app.state.health
        assert not await health.ready()
        assert (await health.checks())["database"].detail == f"{several}: 0001, 0002"


def test_revision_of_the_domains_is_recorded_once(fresh_database: DatabaseFactory) -> None:
    url = fresh_database(migrated=False)
    for revision in ("first", "second"):
        for statement in recording(Position(domains=revision)):
            sql(url, statement)
    assert [tuple(row) for row in sql(url, f"SELECT version_num FROM {DOMAINS.table}")] == [("first",)]
