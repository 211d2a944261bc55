"""Two roles for tests: the owner of a database, who migrates it, and the role of the service."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from tests.conftest import DatabaseFactory

PASSWORD = "of-a-role-for-tests"


@dataclass(frozen=True)
class Roles:
    """An empty database, with URLs for its superuser, its owner and the service."""

    admin_url: str
    owner_url: str
    app_url: str
    owner: str
    app: str


def as_role(url: str, role: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}:{PASSWORD}@{parts.netloc.rpartition('@')[2]}"))


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def roles(fresh_database: DatabaseFactory) -> AsyncIterator[Roles]:
    """Neither role is a superuser. Both are dropped after the test."""
    url, suffix = fresh_database(migrated=False), uuid4().hex[:12]
    owner, app = f"owner_{suffix}", f"app_{suffix}"
    name = urlsplit(url).path.removeprefix("/")
    try:
        await execute(url, *(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'" for role in (owner, app)))
    except asyncpg.InsufficientPrivilegeError:
        pytest.skip("the role of SLIPWAY_TEST_DATABASE_URL may not create roles")
    try:
        await execute(url, f'ALTER DATABASE "{name}" OWNER TO {owner}')
        yield Roles(url, as_role(url, owner), as_role(url, app), owner, app)
    finally:
        await execute(
            url,
            f'ALTER DATABASE "{name}" OWNER TO CURRENT_USER',
            # One by one: PostgreSQL 16 fails on default privileges of one role for the other.
            f"DROP OWNED BY {app} CASCADE",
            f"DROP OWNED BY {owner} CASCADE",
            f"DROP ROLE {owner}, {app}",
        )


@pytest.fixture
async def fresh(fresh_database: DatabaseFactory) -> AsyncIterator[tuple[str, str]]:
    """An empty database, as its superuser, and the name of a role that does not exist yet."""
    url, role = fresh_database(migrated=False), f"fresh_{uuid4().hex[:12]}"
    yield url, role
    await execute(url, f"DROP OWNED BY {role} CASCADE", f"DROP ROLE {role}")
