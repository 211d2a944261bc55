"""Policies of row-level security: what the service expects of a database, and how migrations write and remove them."""

import json

import pytest
import sqlalchemy as sa

from service.database import Database
from service.migrations.policies import expected_policies
from service.migrations.row_security import secure_rows, unsecure_rows
from service.migrations.schema import Schema
from service.models.view import View, is_view
from tests.conftest import DatabaseFactory
from tests.engine.secured import in_migration, role_of_the_service
from tests.migrations.conftest import settings_for
from tests.migrations.roles import execute
from tests.shop.models import METADATA, Parcel
from tests.shop.tables import in_database

MISSING = (
    "table tests_parcel has no row-level security by slipway_owner_tenant; call secure_rows in a migration; "
    "table row_history has no row-level security by slipway_history_tests_parcel_tenant; call secure_rows in a "
    "migration; table idempotency_record has no row-level security by slipway_caller; call secure_rows in a migration"
)
FREE = (
    "table tests_parcel has row-level security; set SLIPWAY_DATABASE__ROW_SECURITY to prepare or require; table "
    "row_history has row-level security; set SLIPWAY_DATABASE__ROW_SECURITY to prepare or require; table "
    "idempotency_record has row-level security; set SLIPWAY_DATABASE__ROW_SECURITY to prepare or require"
)


SHOWS_ALL = "view heavy shows rows of all owners; create it WITH (security_invoker = true)"


async def unfit(url: str, mode: str, *views: sa.Column[str]) -> str:
    """Return why a service with this setting cannot serve the database; empty if it can."""
    database = Database(settings_for(url))
    owners = [Parcel.__table__.c.tenant, *views]  # type: ignore[attr-defined]
    try:
        tables = [table for table in METADATA.sorted_tables if not is_view(table)]
        look = Schema(database, tables, expected_policies(owners, mode)).look()
        return (await look).unfit
    finally:
        await database.stop()


async def test_service_is_ready_only_with_the_policies_that_it_expects(
    fresh_database: DatabaseFactory,
) -> None:
    url = fresh_database(shop=True)
    secure = in_migration(lambda: secure_rows("tests_parcel", "tenant"))
    unsecure = in_migration(lambda: unsecure_rows("tests_parcel", "tenant"))
    async with role_of_the_service(url) as app_url:
        modes = ("disable", "prepare", "require")
        assert [await unfit(app_url, mode) for mode in modes] == ["", "", MISSING]
        await in_database(url, secure)
        assert [await unfit(app_url, mode) for mode in modes] == [FREE, "", ""]
        bound = "row-level security of table tests_parcel does not hold for the service's role, which owns the table"
        assert (await unfit(url, "require")).startswith(bound)
        await execute(url, "ALTER TABLE tests_parcel DISABLE ROW LEVEL SECURITY")
        assert (await unfit(app_url, "require")).startswith("table tests_parcel has no row-level security")
        await execute(url, "ALTER TABLE tests_parcel ENABLE ROW LEVEL SECURITY")
        view = sa.Table(
            "heavy", sa.MetaData(), sa.Column("tenant", sa.Text()), info=View.__table_args__["info"]
        )
        for options, reason in (("", SHOWS_ALL), ("WITH (security_invoker)", "")):
            sql = f"CREATE OR REPLACE VIEW heavy {options} AS SELECT id, tenant FROM tests_parcel WHERE weight > 9"
            await execute(url, sql)
            assert await unfit(app_url, "require", view.c.tenant) == reason
        await execute(url, "DROP VIEW heavy")
        await in_database(url, unsecure)
        assert [await unfit(app_url, mode) for mode in modes] == ["", "", MISSING]


@pytest.mark.parametrize(
    ("type_", "value"), [("uuid", "0190163d-8694-739b-aea5-966c26f8ad91"), ("bigint", "17")]
)
async def test_owners_are_compared_in_their_type(
    fresh_database: DatabaseFactory, type_: str, value: str
) -> None:
    url = fresh_database()
    await execute(
        url, f"CREATE TABLE thing (id uuid, owner {type_})", f"INSERT INTO thing (owner) VALUES ('{value}')"
    )
    await in_database(url, in_migration(lambda: secure_rows("thing", "owner", type_=type_)))
    rows = json.dumps({"own": {"thing": value}})
    async with role_of_the_service(url) as app_url:
        # Fails with a division by zero if the row is hidden.
        await execute(
            app_url,
            f"SET slipway.rows = '{rows}'",
            "SELECT 1 / count(*) FROM thing",
            "UPDATE thing SET owner = owner",
        )
