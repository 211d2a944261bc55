"""Models and migrations say the same; each migration can be undone."""

from collections.abc import Callable
from typing import Any

import pytest

import service.domains as _tables  # noqa: F401  # importing it fills the metadata
from service.migrations import revisions, runner
from service.migrations.operations import SEARCH
from service.models.base import Resource
from service.models.table import Table
from tests.conftest import DatabaseFactory
from tests.migrations.catalog import EVERYTHING, TABLES, TRIGGERS, schema
from tests.migrations.conftest import downgrade, in_database, settings_for
from tests.migrations.lint import scripts

Connect = Callable[[str], Any]


@pytest.fixture
async def by_models(fresh_database: DatabaseFactory, connect: Connect) -> Any:
    """A database made of the models alone."""
    url = fresh_database(migrated=False)
    await in_database(url, lambda connection: connection.exec_driver_sql(SEARCH))
    await in_database(url, Table.metadata.create_all)
    return await connect(url)


@pytest.mark.parametrize("kind", TABLES)
async def test_models_and_migrations_agree(db: Any, by_models: Any, kind: str) -> None:
    migrated = (await schema(db, TABLES))[kind]
    modelled = (await schema(by_models, TABLES))[kind]
    assert len(migrated) > 10
    assert migrated == modelled


async def test_every_resource_keeps_history(db: Any) -> None:
    triggers = (await schema(db, {"triggers": TRIGGERS}))["triggers"]
    tables = [t.name for t in Table.metadata.sorted_tables if set(Resource.model_fields) <= set(t.c.keys())]
    assert {"category", "product"} <= set(tables)
    for table in tables:
        assert f"{table}.{table}_touch" in triggers
        assert f"{table}.{table}_history" in triggers


async def test_migrations_can_be_undone_and_done_again(
    fresh_database: DatabaseFactory, connect: Connect
) -> None:
    url = fresh_database()
    connection = await connect(url)
    before = await schema(connection, EVERYTHING)
    await downgrade(url, "base")
    assert await schema(connection, EVERYTHING) == {kind: {} for kind in EVERYTHING}
    assert await runner.upgrade(settings_for(url))
    assert await schema(connection, EVERYTHING) == before


async def test_each_step_down_can_be_taken_up_again(
    fresh_database: DatabaseFactory, connect: Connect
) -> None:
    url = fresh_database()
    connection = await connect(url)
    before = await schema(connection, EVERYTHING)
    steps = [script.down_revision for script in scripts().walk_revisions()]
    for step in steps:
        assert isinstance(step, str | None)
        await downgrade(url, step or "base")
        await runner.upgrade(settings_for(url))
        assert await schema(connection, EVERYTHING) == before


def test_history_of_migrations_has_one_head_and_no_branch() -> None:
    known = scripts()
    assert len(known.get_heads()) == 1
    chain = list(known.walk_revisions())[::-1]
    assert all(isinstance(script.down_revision, str | None) for script in chain)
    assert sum(script.down_revision is None for script in chain) == 1
    assert revisions.revisions() == tuple(script.revision for script in chain)
