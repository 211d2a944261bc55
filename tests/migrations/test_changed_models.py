"""`slipway migration` writes revisions that bring existing tables to their changed models."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa

from service.migrations import branches, ddl, rendering, runner
from service.migrations.branches import DOMAINS, head, known
from service.migrations.changed_tables import changes
from service.migrations.policies import Owning
from service.resources.domain import Domain
from tests.conftest import DatabaseFactory
from tests.migrations import lint, parcels_after, parcels_before
from tests.migrations.catalog import EVERYTHING, TABLES, schema
from tests.migrations.conftest import downgrade, in_database, settings_for
from tests.migrations.models import agree, columns_with_defaults, create_functions
from tests.migrations.test_models import Connect
from tests.process.conftest import Command

BY_HAND = """\
slipway: write by hand: changing_parcel.colour is not in the model; give it a default now, since this version inserts \
rows without it; drop it in a later release
slipway: write by hand: changing_parcel.label is VARCHAR(20), and VARCHAR(30) NOT NULL in the model
slipway: write by hand: index ix_changing_parcel_colour of changing_parcel is not in the model; drop it in a later \
release
"""
ROW = """
WITH depot AS (
  INSERT INTO changing_depot (id, created_by, updated_by, name)
  VALUES ('018f0000-0000-7000-8000-000000000001', 'a', 'a', 'North') RETURNING id)
INSERT INTO changing_parcel (id, created_by, updated_by, weight, status, colour, label, remark, depot_id)
SELECT '018f0000-0000-7000-8000-000000000002', 'a', 'a', 1, 'new', 'red', 'x', 'y', id FROM depot
"""


Write = Callable[..., tuple[list[str], str]]
LEFT = {
    "columns": {"changing_parcel.colour", "changing_parcel.label"},
    "indexes": {"ix_changing_parcel_colour"},
    "constraints": {f"changing_parcel.changing_parcel_{name}_not_null" for name in ("colour", "label")},
}


async def by_models(connect: Connect, url: str) -> Any:
    """A database with the changed models' tables."""
    await in_database(url, create_functions)
    await in_database(url, parcels_after.METADATA.create_all)
    return await connect(url)


async def agrees(migrated: Any, modelled: Any) -> None:
    """The migrated tables are as the models say, but for what is left to the reader."""

    async def tables(connection: Any) -> dict[str, dict[str, str]]:
        found = await schema(connection, TABLES)
        return {
            kind: {name: one for name, one in items.items() if "changing_" in name and name not in LEFT[kind]}
            for kind, items in found.items()
        }

    found, wanted = await tables(migrated), await tables(modelled)
    defaults = await columns_with_defaults(modelled, parcels_after.METADATA)
    assert agree(found.pop("columns"), wanted.pop("columns"), defaults)
    for kind, items in found.items():
        assert items.items() ^ wanted[kind].items() == set(), kind


@pytest.fixture
def write(command: Command, package: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes the migrations of models, with row-level security. Returns the files' texts, and what is left."""

    def run(models: ModuleType, message: str, security: str = "prepare") -> tuple[list[str], str]:
        monkeypatch.setattr("service.cli.migration.DOMAINS", (Domain("parcels", models.RESOURCES),))
        done = command("migration", "parcels", message, database__row_security=security)
        assert done.exit_code == 0, done.output
        branches.scripts.cache_clear()
        return [Path(file).read_text("utf-8") for file in done.stdout.splitlines()], done.stderr

    return run


async def test_changed_models_become_revisions(
    write: Write, fresh_database: DatabaseFactory, connect: Connect
) -> None:
    """They pass the lint, keep the rows of the table, can be undone, and leave nothing but what the output names."""
    url, before = fresh_database(), head(DOMAINS) or "base"
    write(parcels_before, "Parcels")
    await runner.upgrade(settings_for(url))
    connection = await connect(url)
    await connection.execute(ROW)
    old = await schema(connection, EVERYTHING)

    files, said = write(parcels_after, "Parcels for tenants")
    assert said == BY_HAND
    titles = [file.split("\n", 1)[0] for file in files]
    assert titles == [
        '"""Parcels for tenants.',
        '"""Parcels for tenants: changing_depot.',
        '"""Parcels for tenants: changing_parcel.',
        '"""Parcels for tenants: constraints and indexes of changing_parcel.',
        '"""Parcels for tenants: required columns of changing_parcel.',
    ]
    for file, revision in zip(files, known(DOMAINS)[-5:], strict=True):
        assert lint.judge(file, rendering.statements(DOMAINS, revision)) == []
    await runner.upgrade(settings_for(url))
    row = await connection.fetchrow("SELECT tenant, gift, note, worth, size, tags, more FROM changing_parcel")
    assert list(map(str, row)) == ["", "False", "it's: a note", "1.50", "small", "[]", "{}"]
    await agrees(connection, await by_models(connect, fresh_database(migrated=False)))
    policies = await connection.fetch("SELECT policyname FROM pg_policies WHERE tablename LIKE 'changing%'")
    assert {"slipway_owner_tenant"} < {name for (name,) in policies}

    files, said = write(parcels_after, "Nothing")
    assert said == BY_HAND
    assert "def upgrade() -> None:\n    pass\n" in files[0]
    await downgrade(url, DOMAINS, "parcels_0001")
    assert await schema(connection, EVERYTHING) == old
    await downgrade(url, DOMAINS, before)


def test_row_security_is_left_out_where_it_is_disabled(write: Write) -> None:
    files, _ = write(parcels_after, "Parcels", "disable")
    assert "changing_parcel" in "".join(files)
    assert "secure_rows(" not in "".join(files)


def test_required_column_without_a_default_is_refused(
    command: Command, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that exist would have no value. Nothing is written."""
    table = sa.Table("api_key", sa.MetaData(), sa.Column("owner", sa.Text, nullable=False))
    monkeypatch.setattr("service.cli.migration.DOMAINS", (Domain("shop"),))
    monkeypatch.setattr("service.cli.migration.tables_of", lambda _: [table])
    before = [*package.rglob("*.py")]
    done = command("migration", "shop", "Owners")
    assert (done.exit_code, done.stdout, [*package.rglob("*.py")]) == (6, "", before)
    assert done.stderr.startswith(
        "slipway: api_key.owner: a required column needs a default, for rows that exist"
    )


def test_row_security_that_the_models_no_longer_declare_is_named() -> None:
    columns = (sa.Column("tenant", sa.Text), sa.Column("order_id", sa.Uuid))
    table = sa.Table("line", sa.MetaData(), *columns)
    created = "CREATE TABLE line (tenant text, order_id uuid); CREATE POLICY slipway_owner_tenant ON line"
    there = ddl.read([created])["line"]
    through = changes(table, there, [Owning(table.c.order_id, "order")])
    assert "".join(through.first.upgrade).startswith("secure_rows(")
    for owners in ([Owning(table.c.order_id, "order")], []):
        assert changes(table, there, owners).by_hand == [
            "row-level security of line by tenant is not in the models; remove it by unsecure_rows('line', 'tenant')"
        ]
    for owners_or_none in ([Owning(table.c.tenant)], None):
        assert changes(table, there, owners_or_none).by_hand == []
