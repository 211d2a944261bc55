"""Older databases get the same guard functions as new ones."""

from collections.abc import Callable
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import text
from sqlalchemy.engine import Connection

from service.migrations import runner
from service.migrations.branches import CHASSIS, known
from service.migrations.operations import guard_reference
from tests.conftest import DatabaseFactory
from tests.migrations.conftest import downgrade, in_database, settings_for
from tests.migrations.roles import execute

LAST_WITH_OLD_TEXTS = "0006"
BEFORE_OWNERS = "0018"  # whose policies the guards must pass
FUNCTIONS = """
SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid) || coalesce(p.proacl::text, '') FROM pg_proc p
WHERE p.pronamespace = current_schema()::regnamespace ORDER BY 1
"""
# As `guard_reference` created them then.
OLD = """
CREATE OR REPLACE FUNCTION {name}_alive() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM {there} WHERE id = NEW.{key} AND deleted_at IS NULL FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION '{column} refers to no {target}' {violation};
  END IF;
  RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION {name}_unused() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM {there} WHERE id = OLD.id FOR UPDATE;
  IF EXISTS (SELECT 1 FROM {table} WHERE {key} = OLD.id AND deleted_at IS NULL) THEN
    RAISE EXCEPTION 'a {table} refers to this {target}' {violation};
  END IF;
  RETURN NEW;
END $$;
GRANT EXECUTE ON FUNCTION {name}_unused() TO PUBLIC
"""


def old_functions(table: str, column: str, target: str, *, there: str, key: str) -> str:
    name = f"{table}_{column}"
    violation = f"USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'fk_{name}', TABLE = '{table}'"
    return OLD.format(
        name=name, table=table, column=column, target=target, there=there, key=key, violation=violation
    )


def add_a_team_s_tables(connection: Connection) -> None:
    """Tables named by SQL keywords, and a table that references itself."""
    for table, *columns in ('"order"', "id uuid"), ("line", "id uuid", '"order" uuid', "line_id uuid"):
        connection.execute(text(f"CREATE TABLE {table} ({', '.join(columns)}, deleted_at timestamptz)"))
    with Operations.context(MigrationContext.configure(connection)):
        guard_reference("line", "order", "order")
        guard_reference("line", "line_id", "line")


@pytest.fixture
async def databases(fresh_database: DatabaseFactory) -> tuple[str, str]:
    """A database at the chassis' head, and an older one with the functions of its time."""
    urls = fresh_database(migrated=False), fresh_database(migrated=False)
    for url, revision in zip(urls, (known(CHASSIS)[-1], LAST_WITH_OLD_TEXTS), strict=True):
        await runner.upgrade(settings_for(url), to=revision)
        await in_database(url, add_a_team_s_tables)
    await execute(
        urls[1],
        old_functions("line", "order", "order", there='"order"', key='"order"'),
        old_functions("line", "line_id", "line", there="line", key="line_id"),
    )
    return urls


async def test_upgraded_database_has_the_functions_of_a_new_one(
    databases: tuple[str, str], connect: Callable[[str], Any]
) -> None:
    new, old = [await connect(url) for url in databases]
    before = dict(await new.fetch(FUNCTIONS))
    assert len(set(before.items()) - set(await old.fetch(FUNCTIONS))) > 6
    await runner.upgrade(settings_for(databases[1]), to=known(CHASSIS)[-1])
    assert dict(await old.fetch(FUNCTIONS)) == before
    await downgrade(databases[1], CHASSIS, BEFORE_OWNERS)
    assert not any("SECURITY DEFINER" in text for name, text in await old.fetch(FUNCTIONS) if "line" in name)
