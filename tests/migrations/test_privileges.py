"""The role of the service: its privileges, what it can do, and what it cannot."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from service.migrations import runner
from service.migrations.errors import NotAtHeadError
from service.migrations.grants import AppRoleError
from service.migrations.migration_connection import LOCK
from service.migrations.runner import upgrade
from tests.migrations.conftest import settings_for
from tests.migrations.roles import Roles, execute
from tests.migrations.test_triggers import HISTORY, SHELF

pytestmark = pytest.mark.usefixtures("shop_migrates")

Connect = Callable[[str], Any]

TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
READ_ONLY = {"alembic_version", "alembic_version_domains", "row_history"}
HELD = """
SELECT c.relname || ' ' || privilege FROM pg_class c,
  unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v')
  AND has_table_privilege($1, c.oid, privilege)
"""


async def migrated(roles: Roles, **more: object) -> bool:
    done = await upgrade(settings_for(roles.owner_url, app_role=roles.app, **more))
    return done.changed


async def held(connect: Connect, roles: Roles) -> set[str]:
    connection = await connect(roles.admin_url)
    return {row[0] for row in await connection.fetch(HELD, roles.app)}


async def due(connect: Connect, roles: Roles) -> set[str]:
    """Return what the service needs: to read all tables, and to change all but three."""
    tables = {row[0] for row in await (await connect(roles.admin_url)).fetch(TABLES)}
    assert tables >= READ_ONLY | {"api_key", "idempotency_record"}
    changes = {f"{table} {verb}" for table in tables - READ_ONLY for verb in ("INSERT", "UPDATE", "DELETE")}
    return changes | {f"{table} SELECT" for table in tables}


@pytest.fixture
async def as_app(granted: Roles, connect: Connect) -> Any:
    """A connection of the service's role to a database at the head."""
    return await connect(granted.app_url)


async def test_migrating_grants_only_what_the_service_needs(roles: Roles, connect: Connect) -> None:
    assert await migrated(roles)
    assert await held(connect, roles) == await due(connect, roles) >= {"tests_article INSERT"}


async def test_missing_grants_at_the_head_are_repaired(owned: Roles, connect: Connect) -> None:
    assert await held(connect, owned) == set()
    assert await migrated(owned) is False
    assert await held(connect, owned) == await due(connect, owned)
    await execute(
        owned.owner_url,
        f"REVOKE INSERT ON tests_article FROM {owned.app}",
        f"GRANT DELETE, TRUNCATE ON row_history TO {owned.app}",
        f"GRANT CREATE ON SCHEMA public TO {owned.app}",
        "CREATE VIEW window_on_history AS SELECT * FROM row_history",
    )
    assert await migrated(owned) is False
    assert await held(connect, owned) == await due(connect, owned) | {"window_on_history SELECT"}
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(owned.app_url, "CREATE TABLE mine (id int)")


async def test_later_tables_and_sequences_are_granted_on_creation(owned: Roles, connect: Connect) -> None:
    await migrated(owned)
    as_app = await connect(owned.app_url)
    await execute(owned.owner_url, "CREATE TABLE later (id serial PRIMARY KEY, name text)")
    assert await as_app.fetchval("INSERT INTO later (name) VALUES ('a') RETURNING id") == 1
    assert await as_app.execute("UPDATE later SET name = 'b'") == "UPDATE 1"
    assert await as_app.execute("DELETE FROM later") == "DELETE 1"


async def test_nothing_to_grant_takes_no_lock(granted: Roles, connect: Connect) -> None:
    holder = await connect(granted.admin_url)
    await holder.execute(f"SELECT pg_advisory_lock({LOCK})")
    assert await migrated(granted) is False


async def test_missing_role_stops_before_any_change(roles: Roles, connect: Connect) -> None:
    with pytest.raises(AppRoleError, match="SLIPWAY_DATABASE__APP_ROLE: role nobody_at_all does not exist"):
        await upgrade(settings_for(roles.owner_url, app_role="nobody_at_all"))
    connection = await connect(roles.admin_url)
    assert await connection.fetchval("SELECT to_regclass('alembic_version')") is None


async def test_too_powerful_role_is_refused(roles: Roles) -> None:
    with pytest.raises(AppRoleError, match="the service needs a role that owns nothing"):
        await upgrade(settings_for(roles.owner_url, app_role=roles.owner))
    for grant in (f"GRANT {roles.owner} TO {roles.app}", f"ALTER ROLE {roles.app} NOINHERIT"):
        await execute(roles.admin_url, grant)
        with pytest.raises(AppRoleError, match="the service needs a role that owns nothing"):
            await migrated(roles)


async def test_owner_named_as_app_role_keeps_its_password(roles: Roles) -> None:
    wrong = settings_for(roles.owner_url, app_role=roles.owner, app_password="of-the-service")
    for _ in range(2):
        with pytest.raises(AppRoleError, match="the service needs a role that owns nothing"):
            await upgrade(wrong)
    assert not (await runner.position_of(settings_for(roles.owner_url))).recorded


async def test_role_name_with_special_characters(owned: Roles, connect: Connect) -> None:
    odd = f'Odd "{owned.app}"; --'
    quoted = '"' + odd.replace('"', '""') + '"'
    await execute(owned.admin_url, f"ALTER ROLE {owned.app} RENAME TO {quoted}")
    try:
        assert await upgrade(settings_for(owned.owner_url, app_role=odd))
        connection = await connect(owned.admin_url)
        assert {row[0] for row in await connection.fetch(HELD, odd)} == await due(connect, owned)
    finally:
        await execute(owned.admin_url, f"ALTER ROLE {quoted} RENAME TO {owned.app}")


async def test_unreadable_revision_counts_as_not_at_head(owned: Roles) -> None:
    with pytest.raises(
        NotAtHeadError,
        match=r"cannot read the revision of the database: .*permission denied for table alembic_version",
    ):
        await runner.check(settings_for(owned.app_url))
    assert await migrated(owned) is False
    await runner.check(settings_for(owned.app_url))


async def test_history_records_the_login_role(granted: Roles, as_app: Any) -> None:
    row = await as_app.fetchval(SHELF, uuid4(), "lamps")
    await as_app.execute("UPDATE tests_shelf SET name = 'By hand' WHERE id = $1", row)
    await as_app.execute("DELETE FROM tests_shelf WHERE id = $1", row)
    kept = await as_app.fetch(HISTORY, row)
    by_hand = f"database:{granted.app}"
    assert [(r["action"], r["actor"]) for r in kept] == [
        ("create", "anna"), ("update", by_hand), ("erase", by_hand),
    ]  # fmt: skip


async def test_history_login_cannot_be_forged_by_the_row(
    granted: Roles, as_app: Any, connect: Connect
) -> None:
    row = await as_app.fetchval(SHELF, uuid4(), "lamps")
    await as_app.execute("SELECT set_config('slipway.principal', 'database:eve', false)")
    await as_app.execute("UPDATE tests_shelf SET name = 'By eve' WHERE id = $1", row)
    owner = await connect(granted.owner_url)
    await owner.execute(f"UPDATE tests_shelf SET updated_by = 'database:{granted.app}', version = 3")
    administrator = await connect(granted.admin_url)
    await administrator.execute(f"SET ROLE {granted.owner}")
    await administrator.execute("DELETE FROM tests_shelf")
    login = await administrator.fetchval("SELECT session_user")
    kept = await as_app.fetch(
        "SELECT actor, db_user FROM row_history WHERE row_id = $1 ORDER BY version", row
    )
    assert [tuple(one) for one in kept] == [
        ("anna", granted.app),
        ("database:eve", granted.app),
        (f"database:{granted.app}", granted.owner),
        (f"database:{login}", login),
    ]


NOTE = """
CREATE TABLE note (
  id uuid PRIMARY KEY, version integer DEFAULT 1, updated_by text DEFAULT 'anna', updated_at timestamptz DEFAULT now(),
  deleted_at timestamptz);
CREATE TRIGGER note_history AFTER INSERT OR UPDATE OR DELETE ON note FOR EACH ROW EXECUTE FUNCTION slipway_history()
"""


async def test_earlier_history_has_no_login(roles: Roles, connect: Connect) -> None:
    await upgrade(settings_for(roles.owner_url), to="0005")
    owner = await connect(roles.owner_url)
    await owner.execute(NOTE)
    row = await owner.fetchval("INSERT INTO note (id) VALUES ($1) RETURNING id", uuid4())
    await upgrade(settings_for(roles.owner_url))
    await owner.execute("DELETE FROM note")
    kept = await owner.fetch("SELECT db_user FROM row_history WHERE row_id = $1 ORDER BY version", row)
    assert [one["db_user"] for one in kept] == [None, roles.owner]


FORGED = "INSERT INTO row_history VALUES ('tests_article', gen_random_uuid(), 1, 'create', 'eve', NULL, now(), '{{}}')"
FORBIDDEN = {
    "drop": "DROP TABLE tests_article",
    "alter": "ALTER TABLE tests_article ADD COLUMN x int",
    "index": "CREATE INDEX ON tests_article (stock)",
    "truncate": "TRUNCATE tests_article",
    "trigger-off": "ALTER TABLE tests_article DISABLE TRIGGER tests_article_history",
    "replica": "SET session_replication_role = replica",
    "function": "CREATE OR REPLACE FUNCTION slipway_touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
    "forge": FORGED,
    "alter-history": "UPDATE row_history SET actor = 'eve'",
    "erase-history": "DELETE FROM row_history",
    "truncate-history": "TRUNCATE row_history",
    "revision": "UPDATE alembic_version SET version_num = '0001'",
    "revision-of-domains": "DELETE FROM alembic_version_domains",
    "passwords": "SELECT rolpassword FROM pg_authid",
    "role": "CREATE ROLE eve SUPERUSER",
    "owner": "ALTER TABLE tests_article OWNER TO CURRENT_USER",
    "become": "SET ROLE {owner}",
    "table": "CREATE TABLE mine (id int)",
    "file": "COPY tests_article TO '/tmp/article'",
    "program": "COPY tests_article TO PROGRAM 'cat'",
    "borrowed-trigger": "CREATE TEMP TABLE tests_article (id uuid); "
    "CREATE TRIGGER forge AFTER INSERT ON pg_temp.tests_article FOR EACH ROW EXECUTE FUNCTION slipway_history()",
}


async def test_forbidden_statement_of_the_service_fails(granted: Roles, as_app: Any) -> None:
    await as_app.fetchval(SHELF, uuid4(), "lamps")
    allowed = []
    for name, statement in FORBIDDEN.items():
        try:
            await as_app.execute(statement.format(owner=granted.owner))
        except asyncpg.InsufficientPrivilegeError:
            continue
        allowed.append(name)
    assert allowed == []


async def test_shadowing_table_does_not_divert_history(as_app: Any) -> None:
    await as_app.execute("CREATE TEMP TABLE row_history (LIKE public.row_history)")
    row = await as_app.fetchval(SHELF, uuid4(), "lamps")
    assert await as_app.fetchval("SELECT count(*) FROM public.row_history WHERE row_id = $1", row) == 1
    assert await as_app.fetchval("SELECT count(*) FROM pg_temp.row_history") == 0
