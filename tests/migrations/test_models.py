"""Models and migrations match, and each migration can be undone."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from alembic.script import ScriptDirectory

from service.domains import DOMAINS as TEAM
from service.migrations import runner
from service.migrations.branches import BRANCHES, Branch, known
from service.models.base import Resource
from service.models.table import Table
from service.models.view import is_view
from service.resources.domain import resources_of
from tests.conftest import DatabaseFactory
from tests.migrations.catalog import EVERYTHING, TABLES, TRIGGERS, schema
from tests.migrations.conftest import downgrade, in_database, settings_for
from tests.migrations.models import agree, columns_with_defaults, create_functions

Connect = Callable[[str], Any]


@pytest.fixture
async def by_models(fresh_database: DatabaseFactory, connect: Connect) -> Any:
    """A database created from the models alone."""
    url = fresh_database(migrated=False)
    await in_database(url, create_functions)
    tables = [table for table in Table.metadata.sorted_tables if not is_view(table)]
    await in_database(url, partial(Table.metadata.create_all, tables=tables))
    return await connect(url)


async def test_models_and_migrations_agree(db: Any, by_models: Any, subtests: pytest.Subtests) -> None:
    migrated, modelled = await schema(db, TABLES), await schema(by_models, TABLES)
    defaults = await columns_with_defaults(by_models, Table.metadata)
    for kind in TABLES:
        with subtests.test(kind=kind):
            assert any("row_history" in name for name in migrated[kind])
            if kind == "columns":
                assert agree(migrated[kind], modelled[kind], defaults)
            else:
                assert migrated[kind] == modelled[kind]


async def test_every_resource_keeps_history(db: Any) -> None:
    found = (await schema(db, {"triggers": TRIGGERS}))["triggers"]
    triggers = {name.replace('"', "") for name in found}
    tables = [t.name for t in Table.metadata.sorted_tables if set(Resource.model_fields) <= set(t.c.keys())]
    assert {resource.table.name for resource in resources_of(TEAM) if not resource.is_view} <= set(tables)
    for table in tables:
        assert f"{table}.{table}_touch" in triggers
        assert f"{table}.{table}_history" in triggers


async def test_each_migration_can_be_undone_and_run_again(
    fresh_database: DatabaseFactory, connect: Connect
) -> None:
    """From the head to nothing, one by one, and back: what runs after a downgrade makes the schema from before it."""
    url = fresh_database()
    connection = await connect(url)
    at_head = there = await schema(connection, EVERYTHING)
    for branch in reversed(BRANCHES):
        newest = there
        for before, revision in reversed([*pairwise(["base", *known(branch)])]):
            await downgrade(url, branch, before)
            left = await schema(connection, EVERYTHING)
            await runner.upgrade(settings_for(url), to=revision)
            if (
                await schema(connection, EVERYTHING) != there
            ):  # in the text of a function that a newer one replaces
                await runner.upgrade(settings_for(url), to=known(branch)[-1])
                assert await schema(connection, EVERYTHING) == newest, revision
            there = left
        if known(branch):
            await downgrade(url, branch, "base")
    assert await schema(connection, EVERYTHING) == {kind: {} for kind in EVERYTHING}
    assert await runner.upgrade(settings_for(url))
    assert await schema(connection, EVERYTHING) == at_head


@pytest.mark.parametrize("branch", BRANCHES, ids=lambda branch: branch.name)
def test_branches_match_those_read_by_alembic(branch: Branch) -> None:
    chain = [*ScriptDirectory.from_config(runner.configuration(branch)).walk_revisions()][::-1]
    assert known(branch) == tuple(script.revision for script in chain)
