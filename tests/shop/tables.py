"""Creates tables of tests in a database at the head, with what migrations give to a domain's tables."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, Table, inspect, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from service.migrations.operations import create_search_statistics, guard_reference, track_history
from service.models.view import is_view
from tests.shop.models import METADATA

MIGRATED = text(
    "SELECT to_regproc('slipway_search_text') IS NOT NULL"
)  # the newest function that the tables need


def create_shop(connection: Connection) -> None:
    """Create the tables of the shop, unless the database has them."""
    if inspect(connection).has_table("tests_shelf"):
        return
    create_tables(connection, [table for table in METADATA.sorted_tables if not is_view(table)])
    with Operations.context(MigrationContext.configure(connection)):
        for table in ("tests_shelf", "tests_article"):
            create_search_statistics(table, "name", "description")
        create_search_statistics("tests_parcel", "note")


def create_tables(connection: Connection, tables: Sequence[Table]) -> None:
    """Create tables, parents first, with their indexes, row history and guarded references."""
    for table in tables:
        table.create(connection)
    with Operations.context(MigrationContext.configure(connection)):
        for table in tables:
            track_history(table.name)
            for key in table.foreign_keys:
                guard_reference(table.name, key.parent.name, key.column.table.name)


def migrating_with_shop(migrate: Callable[..., None]) -> Callable[..., None]:
    """Wrap `service.migrations.runner._run`: it creates the tables of the shop right after the migrations."""

    @functools.wraps(migrate)
    def migrate_with_shop(connection: Connection, *target: Any) -> None:
        migrate(connection, *target)
        if connection.scalar(MIGRATED):
            create_shop(connection)
        connection.commit()

    return migrate_with_shop


async def in_database(url: str, work: Callable[[Connection], None]) -> None:
    """Run the work in one transaction on the database of this URL."""
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(work)
    finally:
        await engine.dispose()
