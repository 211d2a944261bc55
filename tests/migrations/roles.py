"""Two roles for tests: the owner of a database, who migrates it, and the role of the service."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from tests.conftest import DatabaseFactory
from tests.services import PASSWORD, Client, ServicesError, as_role


@dataclass(frozen=True)
class Roles:
    """A database, with URLs for its superuser, its owner and the service."""

    admin_url: str
    owner_url: str
    app_url: str
    owner: str
    app: str


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _created(fresh_database: DatabaseFactory, roles: Literal["owned", "granted"]) -> str:
    """Return the URL of a database with these roles, or skip the test."""
    try:
        return fresh_database(roles=roles)
    except ServicesError as error:
        if "InsufficientPrivilegeError" in str(error):
            pytest.skip("the role of SLIPWAY_TEST_DATABASE_URL may not create roles")
        raise


@pytest.fixture
def granted(fresh_database: DatabaseFactory, services: Client) -> Roles:
    """A database at the head, with the tables of the shop, which its owner has migrated for the role of the service.

    It is copied, and other workers use its roles at the same time: a test that changes roles takes `roles`.
    """
    url = _created(fresh_database, "granted")
    owner, app = services.role("owner"), services.role("app")
    return Roles(url, as_role(url, owner), as_role(url, app), owner, app)


@pytest.fixture
async def owned(fresh_database: DatabaseFactory, services: Client) -> AsyncIterator[Roles]:
    """As `granted`, but the service's role has no privilege yet, and belongs to the test alone."""
    url = _created(fresh_database, "owned")
    owner, app = services.role("owner"), f"app_{uuid4().hex[:12]}"
    await execute(url, f"CREATE ROLE {app} LOGIN PASSWORD '{PASSWORD}'")
    yield Roles(url, as_role(url, owner), as_role(url, app), owner, app)
    await execute(url, f"DROP OWNED BY {app} CASCADE", f"DROP ROLE {app}")


@pytest.fixture
async def roles(fresh_database: DatabaseFactory) -> AsyncIterator[Roles]:
    """An empty database. Neither role is a superuser. Both are dropped after the test."""
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
async def new_role(fresh_database: DatabaseFactory) -> AsyncIterator[tuple[str, str]]:
    """A database at the head, as its superuser, and the name of a role that does not exist yet."""
    url, role = fresh_database(), f"new_{uuid4().hex[:12]}"
    yield url, role
    await execute(url, f"DROP OWNED BY {role} CASCADE", f"DROP ROLE {role}")


@pytest.fixture
async def fresh(fresh_database: DatabaseFactory) -> AsyncIterator[tuple[str, str]]:
    """An empty database, as its superuser, and the name of a role that does not exist yet."""
    url, role = fresh_database(migrated=False), f"fresh_{uuid4().hex[:12]}"
    yield url, role
    await execute(url, f"DROP OWNED BY {role} CASCADE", f"DROP ROLE {role}")
