"""`slipway migrate` creates the role of the service if it has a password for it."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from service.migrations.grants import AppRoleError
from service.migrations.role import LOCK, verifier
from service.migrations.runner import upgrade
from tests.migrations.conftest import settings_for, within
from tests.migrations.roles import Roles, execute

WAITING = (
    "locktype = 'advisory' AND NOT granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
FIRST, SECOND = "first-Password-7", "second-Password-8"
Login = Callable[[str], Any]


async def _migrate(url: str, role: str, password: str) -> bool:
    return (await upgrade(settings_for(url, app_role=role, app_password=password))).changed


async def _login(url: str, role: str, password: str) -> asyncpg.Connection:
    parts = urlsplit(url)
    address = f"{parts.hostname}:{parts.port}"
    return await asyncpg.connect(urlunsplit(parts._replace(netloc=f"{role}:{password}@{address}")))


async def _kept(url: str, role: str) -> str:
    connection = await asyncpg.connect(url)
    kept: str = await connection.fetchval("SELECT rolpassword FROM pg_authid WHERE rolname = $1", role)
    await connection.close()
    return kept


async def test_created_role_can_read_but_not_create_tables(fresh: tuple[str, str]) -> None:
    url, role = fresh
    assert await _migrate(url, role, FIRST)
    connection = await _login(url, role, FIRST)
    assert await connection.fetchval("SELECT count(*) FROM api_key") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("CREATE TABLE mine (id int)")
    await connection.close()


async def test_verifier_matches_the_one_of_the_server(new_role: tuple[str, str]) -> None:
    url, role = new_role
    await _migrate(url, role, FIRST)
    ours = await _kept(url, role)
    await execute(url, f"ALTER ROLE {role} PASSWORD '{FIRST}'")
    theirs = await _kept(url, role)
    assert ours.split(":")[0] == theirs.split(":")[0] == "SCRAM-SHA-256$4096"
    # Although salts differ, a second run with the same password changes nothing.
    await _migrate(url, role, FIRST)
    assert await _kept(url, role) == theirs


async def test_changed_password_is_set_at_the_head(new_role: tuple[str, str]) -> None:
    url, role = new_role
    await _migrate(url, role, FIRST)
    before = await _kept(url, role)
    assert await _migrate(url, role, SECOND) is False
    assert await _kept(url, role) != before
    await (await _login(url, role, SECOND)).close()


async def test_existing_role_gets_the_login_privilege(new_role: tuple[str, str]) -> None:
    url, role = new_role
    await execute(url, f"CREATE ROLE {role} NOLOGIN")
    await _migrate(url, role, FIRST)
    await (await _login(url, role, FIRST)).close()


async def test_role_without_login_or_password_gets_both(new_role: tuple[str, str]) -> None:
    url, role = new_role
    await execute(url, f"CREATE ROLE {role} LOGIN")
    for taken in ("PASSWORD NULL", "NOLOGIN"):
        await execute(url, f"ALTER ROLE {role} {taken}")
        await _migrate(url, role, FIRST)
        await (await _login(url, role, FIRST)).close()


async def test_password_that_the_server_stored_with_other_iterations_is_known(
    new_role: tuple[str, str],
) -> None:
    url, role = new_role
    stored = verifier(FIRST, b"sixteen bytes of", 5000)
    await execute(url, f"CREATE ROLE {role} LOGIN PASSWORD '{stored}'")
    await _migrate(url, role, FIRST)
    assert await _kept(url, role) == stored


async def test_password_of_a_refused_role_stays(new_role: tuple[str, str]) -> None:
    url, role = new_role
    await execute(url, f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{FIRST}'")
    before = await _kept(url, role)
    with pytest.raises(AppRoleError, match="is a superuser"):
        await _migrate(url, role, SECOND)
    assert await _kept(url, role) == before


async def test_concurrent_runs_create_the_role_once(new_role: tuple[str, str]) -> None:
    url, role = new_role
    holder = await asyncpg.connect(url)
    await holder.execute(f"SELECT pg_advisory_lock({LOCK})")
    both = [
        asyncio.create_task(upgrade(settings_for(url, app_role=role, app_password=FIRST), wait=60))
        for _ in range(2)
    ]
    await within(30, lambda: holder.fetchval(f"SELECT count(*) = 2 FROM pg_locks WHERE {WAITING}"))
    await holder.close()
    assert len({done.after for done in await asyncio.gather(*both)}) == 1
    await (await _login(url, role, FIRST)).close()


async def test_run_in_another_database_may_create_the_role_meanwhile(new_role: tuple[str, str]) -> None:
    url, role = new_role
    other = await asyncpg.connect(url)
    creating = other.transaction()
    await creating.start()
    await other.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{SECOND}'")
    patient = settings_for(url, app_role=role, app_password=FIRST, lock_timeout=30)
    running = asyncio.create_task(upgrade(patient))
    blocked = (
        f"SELECT EXISTS (SELECT FROM pg_locks WHERE {other.get_server_pid()} = ANY(pg_blocking_pids(pid)))"
    )
    await within(30, lambda: other.fetchval(blocked))
    await creating.commit()
    await other.close()
    await running
    await (await _login(url, role, FIRST)).close()


async def test_missing_createrole_privilege_is_reported(roles: Roles) -> None:
    with pytest.raises(
        AppRoleError, match=r"SLIPWAY_DATABASE__APP_PASSWORD: cannot create or alter role nobody_"
    ):
        await _migrate(roles.owner_url, f"nobody_{uuid4().hex[:12]}", FIRST)
