"""Settings of `slipway migrate`."""

from uuid import uuid4

import asyncpg

from tests.engine.wire import wire_to
from tests.process.served import Served, slipway
from tests.process.settings.table import Given, Place, Running, process, setting

PASSWORD = "of-a-role-for-tests"


def migrate(place: Place, given: Given) -> Served:
    """The command is the process, and has ended."""
    done = slipway(place.home, "migrate", **given)
    assert done.returncode == 0, done.stderr
    return None  # type: ignore[return-value]  # nothing to talk to


@process("migrate", migrate)
def unmigrated(place: Place) -> Given:
    run = Running(place, None)  # type: ignore[arg-type]  # no process yet
    for statement in ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public"):
        run.sql(statement)
    place.servers["wire"] = place.background.enter(wire_to(place.database_url))
    place.servers["role"] = role = f"app_{uuid4().hex[:8]}"
    place.closing += [lambda: run.sql(f"DROP ROLE IF EXISTS {role}"), lambda: _disown(run, role)]
    return {"database__url": place.servers["wire"].url}


def _disown(run: Running, role: str) -> None:
    if run.sql("SELECT FROM pg_roles WHERE rolname = $1", role):
        run.sql(f"DROP OWNED BY {role}")


@setting("database__app_role", lambda place: place.servers["role"], process="migrate")
def role_may_use_the_tables(run: Running) -> None:
    granted = run.sql("SELECT has_table_privilege($1, 'category', 'INSERT')", run.place.servers["role"])
    assert granted[0][0]


@setting("database__app_password", PASSWORD, process="migrate")
def role_logs_in_with_it(run: Running) -> None:
    place = run.place

    async def login() -> int:
        role = place.servers["role"]
        connection = await asyncpg.connect(place.database_url, user=role, password=PASSWORD)
        try:
            return int(await connection.fetchval("SELECT 1"))
        finally:
            await connection.close()

    assert place.background.run(login()) == 1


@setting("database__migration_lock_timeout", 0.345, process="migrate")
def wait_for_a_table_is_bounded(run: Running) -> None:
    assert any(b"345" in body for body in run.place.servers["wire"].bound)
