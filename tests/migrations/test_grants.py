"""Which objects the grants to the service's role concern, whatever else a database holds."""

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from service.migrations.grants import AppRoleError
from service.migrations.runner import upgrade
from tests.migrations.conftest import settings_for
from tests.migrations.roles import Roles, execute

pytestmark = pytest.mark.usefixtures("shop_migrates")

Connect = Callable[[str], Any]


async def migrate(roles: Roles) -> None:
    await upgrade(settings_for(roles.owner_url, app_role=roles.app))


async def privileges(connection: asyncpg.Connection, roles: Roles, relation: str) -> set[str]:
    """Return what the service's role may do with a table or sequence."""
    kind, names = ("table", ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"])
    if relation == "number":
        kind, names = "sequence", ["SELECT", "USAGE", "UPDATE"]
    held = f"SELECT p FROM unnest($3::text[]) AS p WHERE has_{kind}_privilege($1, $2, p)"
    return {row["p"] for row in await connection.fetch(held, roles.app, relation, names)}


async def test_role_gets_in_and_uses_every_kind_of_table(owned: Roles, connect: Connect) -> None:
    """Objects that are older than the role's default privileges, in a database where nobody may do anything."""
    await execute(
        owned.owner_url,
        "DO $$ BEGIN EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database()); END $$",
        "CREATE TABLE part (id int) PARTITION BY LIST (id)",
        "CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1)",
        "CREATE SEQUENCE number",
        f"GRANT TRIGGER, REFERENCES ON row_history TO {owned.app}",
    )
    await execute(owned.admin_url, "REVOKE USAGE ON SCHEMA public FROM PUBLIC")
    await migrate(owned)
    service = await connect(owned.app_url)
    assert await service.execute("INSERT INTO part VALUES (nextval('number'))") == "INSERT 0 1"
    assert await privileges(service, owned, "number") == {"SELECT", "USAGE"}
    assert await privileges(service, owned, "row_history") == {"SELECT"}


async def test_tables_of_others_and_of_extensions_are_left_alone(owned: Roles, connect: Connect) -> None:
    await execute(owned.owner_url, "CREATE TABLE of_extension (id int)")
    await execute(
        owned.admin_url,
        "CREATE TABLE of_administrator (id int)",
        "ALTER EXTENSION plpgsql ADD TABLE of_extension",
    )
    await migrate(owned)
    administrator = await connect(owned.admin_url)
    for table in ("of_administrator", "of_extension"):
        assert await privileges(administrator, owned, table) == set()
    await administrator.execute("ALTER EXTENSION plpgsql DROP TABLE of_extension")


async def test_default_privileges_of_others_do_not_count(owned: Roles, connect: Connect) -> None:
    defaults = "ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT SELECT ON TABLES TO {}"
    await execute(owned.admin_url, defaults.format("public", owned.app))
    await execute(
        owned.owner_url,
        "CREATE SCHEMA elsewhere",
        defaults.format("elsewhere", owned.app),
        defaults.format("public", "pg_monitor"),
    )
    await migrate(owned)
    await execute(owned.owner_url, "CREATE TABLE later (id int)")
    service = await connect(owned.app_url)
    assert await privileges(service, owned, "later") == {"SELECT", "INSERT", "UPDATE", "DELETE"}


OWNERS = {
    "the migrating role": "GRANT {owner} TO {app}",
    "the owner of the database": 'ALTER DATABASE "{database}" OWNER TO pg_monitor; GRANT pg_monitor TO {app}',
    "the owner of the schema": "ALTER SCHEMA public OWNER TO pg_monitor; GRANT pg_monitor TO {app}",
}


@pytest.mark.parametrize("name", OWNERS)
async def test_role_that_can_become_an_owner_is_refused(roles: Roles, connect: Connect, name: str) -> None:
    """Each is a role of its own here, and membership counts without inheritance: SET ROLE takes it."""
    administrator = await connect(roles.admin_url)
    database = await administrator.fetchval("SELECT current_database()")
    for statement in (
        f'ALTER DATABASE "{database}" OWNER TO CURRENT_USER',
        "ALTER SCHEMA public OWNER TO CURRENT_USER",
        f"GRANT USAGE, CREATE ON SCHEMA public TO {roles.owner}",
        f"ALTER ROLE {roles.app} NOINHERIT",
        OWNERS[name].format(owner=roles.owner, app=roles.app, database=database),
    ):
        await administrator.execute(statement)
    with pytest.raises(AppRoleError, match="the service needs a role that owns nothing"):
        await migrate(roles)


async def test_privilege_that_another_role_granted_is_named(granted: Roles) -> None:
    """Only who granted it can revoke it."""
    await execute(granted.owner_url, "GRANT TRUNCATE ON row_history TO pg_monitor WITH GRANT OPTION")
    await execute(granted.admin_url, "SET ROLE pg_monitor", f"GRANT TRUNCATE ON row_history TO {granted.app}")
    with capture_logs() as logs:
        await migrate(granted)
    (told,) = (line["pending"] for line in logs if line["log_level"] == "warning")
    assert told == [f"REVOKE TRUNCATE ON TABLE public.row_history FROM {granted.app}"]
