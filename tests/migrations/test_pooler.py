"""Migrations through a pooler, which are refused before anything is locked."""

from collections.abc import Callable
from typing import Any

import pytest

from service.migrations import runner
from service.migrations.errors import PooledError
from service.migrations.revisions import heads
from service.migrations.runner import upgrade
from tests.bouncer import bounced, needs_pgbouncer
from tests.conftest import DatabaseFactory
from tests.migrations.conftest import settings_for
from tests.process.conftest import Command

pytestmark = needs_pgbouncer

DECLARED: dict[str, Any] = {"pgbouncer": True}
NOT_DECLARED: dict[str, Any] = {"pgbouncer": False}
TRACES = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (
  SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.mark.parametrize("said", [DECLARED, NOT_DECLARED], ids=["declared", "found out"])
async def test_migrating_through_pgbouncer_is_refused_without_traces(
    fresh_database: DatabaseFactory, connect: Callable[[str], Any], said: dict[str, Any]
) -> None:
    url = fresh_database(migrated=False)
    direct = await connect(url)
    with bounced(url, ignored="lock_timeout,client_connection_check_interval") as through:
        with pytest.raises(PooledError, match="connect to PostgreSQL directly"):
            await upgrade(settings_for(through, **said))
        assert await direct.fetchval(TRACES) == 0
        assert await direct.fetchval("SELECT to_regclass('alembic_version')") is None
        assert (await upgrade(settings_for(url))).changed
        assert not (await upgrade(settings_for(through, **said))).changed
        assert (await runner.check(settings_for(through, **said))).position == heads()


@pytest.mark.parametrize("said", [DECLARED, NOT_DECLARED], ids=["declared", "found out"])
async def test_role_is_not_changed_through_pgbouncer(
    fresh: tuple[str, str], connect: Callable[[str], Any], said: dict[str, Any]
) -> None:
    url, role = fresh
    direct = await connect(url)
    kept = f"SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'"
    first, second = (
        {"app_role": role, "app_password": password} for password in ("first-Word-1", "second-Word-2")
    )
    with bounced(url, ignored="lock_timeout,client_connection_check_interval") as through:
        with pytest.raises(PooledError, match=f"password of role {role} must be set"):
            await upgrade(settings_for(through, **said, **first))
        assert await direct.fetchval(kept) is None
        assert (await upgrade(settings_for(url, **first))).changed
        before = await direct.fetchval(kept)
        assert not (await upgrade(settings_for(through, **said, **first))).changed
        with pytest.raises(PooledError, match="connect to PostgreSQL directly"):
            await upgrade(settings_for(through, **said, **second))
        assert await direct.fetchval(kept) == before


def test_pooler_error_is_one_line(command: Command, fresh_database: DatabaseFactory) -> None:
    with bounced(fresh_database(migrated=False)) as through:
        done = command("migrate", database__url=through, database__pgbouncer="true")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (6, "", 1)
    assert done.stderr.startswith(
        "slipway: there are pending changes, but slipway is connected through a pooler"
    )
