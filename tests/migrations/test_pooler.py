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

DECLARED: dict[str, Any] = {"pgbouncer": True}
NOT_DECLARED: dict[str, Any] = {"pgbouncer": False}
TRACES = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (
  SELECT oid FROM pg_database WHERE datname = current_database())
"""
AT_LOGIN = """
CREATE FUNCTION forget() RETURNS event_trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM set_config('lock_timeout', '0', false); END $$;
CREATE EVENT TRIGGER forget ON login EXECUTE FUNCTION forget()
"""


@needs_pgbouncer
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


@needs_pgbouncer
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


async def test_pooler_that_is_not_declared_is_found_out(
    fresh_database: DatabaseFactory, connect: Callable[[str], Any]
) -> None:
    """A server whose sessions do not begin with the settings that were sent, as those of a pooler."""
    url = fresh_database(migrated=False)
    direct = await connect(url)
    if direct.get_server_version().major < 17:
        pytest.skip("triggers at the login need PostgreSQL 17")
    await direct.execute(AT_LOGIN)
    with pytest.raises(PooledError, match="connect to PostgreSQL directly"):
        await upgrade(settings_for(url))
    assert await direct.fetchval("SELECT to_regclass('alembic_version')") is None
