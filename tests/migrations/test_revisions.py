"""What is read of a revision without running it."""

import asyncio

import pytest

from service.migrations import revisions
from service.migrations.errors import ScriptsError
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


def test_annotated_constants_are_read_too(write: Write) -> None:
    """Alembic's own template writes them so."""
    write("first", "SELECT 1")
    (revisions.LOCATION / "versions" / "annotated.py").write_text(ANNOTATED)
    assert revisions.revisions()[-2:] == ("first", "annotated")


@pytest.mark.parametrize("missing", ["revision", "down_revision"])
def test_revision_that_does_not_say_what_it_is_is_named(write: Write, missing: str) -> None:
    write("first", "SELECT 1")
    (revisions.LOCATION / "versions" / "unsaid.py").write_text(ANNOTATED.replace(f"\n{missing}:", "\nother:"))
    with pytest.raises(ScriptsError, match=rf"migration unsaid\.py does not set {missing} to a constant"):
        revisions.revisions()


TWINS = {
    "two heads": (
        ("left", "first"),
        ("right", "first"),
        "the migrations have two heads: left.py and right.py both follow first; let one of them follow the other",
    ),
    "one id twice": (
        ("next", "first"),
        ("next", "left"),
        "the migrations left.py and right.py both have the revision next; give one of them another id",
    ),
    "no way to the first": (
        ("left", "right"),
        ("right", "left"),
        "the migrations are not a single line from a first one: left.py follows right, right.py follows left",
    ),
}


@pytest.mark.parametrize("kind", TWINS)
def test_contradictory_migrations_are_refused_everywhere(
    write: Write, command: Command, fresh_database: DatabaseFactory, kind: str
) -> None:
    write("first", "SELECT 1")
    *scripts, told = TWINS[kind]
    for file, (revision, follows) in zip(("left", "right"), scripts, strict=True):
        text = f'revision = "{revision}"\ndown_revision = "{follows}"\ndef upgrade():\n    pass\n'
        (revisions.LOCATION / "versions" / f"{file}.py").write_text(text)
    revisions.revisions.cache_clear()
    url = fresh_database()
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


async def test_database_at_two_revisions_is_refused(
    command: Command, fresh_database: DatabaseFactory
) -> None:
    url = fresh_database()
    await execute(url, "INSERT INTO alembic_version VALUES ('0001')")
    for arguments in ("migrate",), ("migrate", "--check"), ("migrate", "--sql"):
        done = await asyncio.to_thread(command, *arguments, database__url=url)
        assert done.exit_code == 6
        assert done.stderr.startswith("slipway: the database is at several revisions at once: 0001, ")
    async with running(url) as api:
        assert not await api.app.state.health.ready()
