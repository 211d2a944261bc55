"""A database whose parcels have row-level security, for a role of the service that owns nothing."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection

from service.migrations import runner
from service.migrations.row_security import secure_rows
from tests.engine.api import settings_for
from tests.migrations.roles import execute
from tests.services import PASSWORD, as_role
from tests.shop.tables import in_database


def in_migration(work: Callable[[], None]) -> Callable[[Connection], None]:
    """Return what runs operations of migrations on a connection."""

    def run(connection: Connection) -> None:
        with Operations.context(MigrationContext.configure(connection)):
            work()

    return run


@asynccontextmanager
async def role_of_the_service(url: str) -> AsyncIterator[str]:
    """Create a role with the privileges of the service, and yield the URL of the database for it."""
    role = f"secured_{uuid4().hex[:12]}"
    await runner.upgrade(settings_for(url, database={"app_role": role, "app_password": PASSWORD}))
    try:
        yield as_role(url, role)
    finally:
        await execute(url, f"DROP OWNED BY {role} CASCADE", f"DROP ROLE {role}")


@asynccontextmanager
async def secured(url: str) -> AsyncIterator[str]:
    """Secure the parcels of a shop, and yield the URL for the service's role."""
    await in_database(url, in_migration(lambda: secure_rows("tests_parcel", "tenant")))
    async with role_of_the_service(url) as app_url:
        yield app_url
