"""Settings of `slipway migrate`."""

from uuid import uuid4

import asyncpg

from service.security.api_keys import key_format
from tests.engine.wire import wire_to
from tests.process.served import Served, slipway
from tests.process.settings.table import Given, Running, Setup, process, setting

PASSWORD = "of-a-role-for-tests"
ADMIN_KEY = key_format.generate()


def migrate(setup: Setup, given: Given) -> Served:
    """Run the command, which is the process under test, to its end."""
    done = slipway(setup.home, "migrate", **given)
    assert done.returncode == 0, done.stderr
    return None  # type: ignore[return-value]  # nothing to talk to


@process("migrate", migrate)
def unmigrated(setup: Setup) -> Given:
    run = Running(setup, None)  # type: ignore[arg-type]  # no process yet
    for statement in ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public"):
        run.sql(statement)
    setup.servers["wire"] = setup.background.enter(wire_to(setup.database_url))
    setup.servers["role"] = role = f"app_{uuid4().hex[:8]}"
    setup.closing += [lambda: run.sql(f"DROP ROLE IF EXISTS {role}"), lambda: _disown(run, role)]
    return {"database__url": setup.servers["wire"].url}


def _disown(run: Running, role: str) -> None:
    if run.sql("SELECT FROM pg_roles WHERE rolname = $1", role):
        run.sql(f"DROP OWNED BY {role}")


@setting("database__app_role", lambda setup: setup.servers["role"], process="migrate")
def role_may_use_the_tables(run: Running) -> None:
    granted = run.sql("SELECT has_table_privilege($1, 'tests_shelf', 'INSERT')", run.setup.servers["role"])
    assert granted[0][0]


@setting("database__app_password", PASSWORD, process="migrate")
def role_logs_in_with_it(run: Running) -> None:
    setup = run.setup

    async def login() -> int:
        role = setup.servers["role"]
        connection = await asyncpg.connect(setup.database_url, user=role, password=PASSWORD)
        try:
            return int(await connection.fetchval("SELECT 1"))
        finally:
            await connection.close()

    assert setup.background.run(login()) == 1


@setting("database__migration_lock_timeout", 0.345, process="migrate")
def wait_for_a_table_is_bounded(run: Running) -> None:
    assert any(b"345" in body for body in run.setup.servers["wire"].bound)


@setting("security__admin_key", ADMIN_KEY.text, process="migrate")
def key_is_created(run: Running) -> None:
    [[scopes]] = run.sql("SELECT scopes FROM api_key WHERE prefix = $1", ADMIN_KEY.prefix)
    assert scopes == ["admin"]
