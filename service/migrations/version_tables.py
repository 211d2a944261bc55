"""The version tables, in which a database keeps its revisions: one for each branch."""

import sqlalchemy as sa
import structlog
from alembic.migration import MigrationContext
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from service.migrations import revisions
from service.migrations.branches import BRANCHES, DOMAINS, ID_LENGTH, Branch
from service.migrations.errors import SeveralHeadsError
from service.migrations.revisions import Position
from service.models.sql_identifiers import literal

log = structlog.get_logger(__name__)


async def current(connection: AsyncConnection) -> Position:
    """Return the revisions of a database. Raises `SeveralHeadsError`."""
    position = await connection.run_sync(read)
    await connection.rollback()
    return position


def read(connection: Connection) -> Position:
    """Return the revisions of a database, in the current transaction. Raises `SeveralHeadsError`."""
    recorded = connection.scalar(sa.text(f"SELECT to_regclass('{DOMAINS.table}') IS NOT NULL"))
    chassis, domains = (_revision(connection, branch) for branch in BRANCHES)
    return revisions.found(chassis, domains, recorded=bool(recorded))


def _revision(connection: Connection, branch: Branch) -> str | None:
    """Return what the version table of a branch says; None if it is missing or empty."""
    heads = MigrationContext.configure(connection, opts={"version_table": branch.table}).get_current_heads()
    if len(heads) > 1:
        raise SeveralHeadsError(
            f"the database is at several revisions of the branch {branch.name} at once: "
            f"{', '.join(sorted(heads))}; delete all but the right one from the table {branch.table}"
        )
    return heads[0] if heads else None


async def record(connection: AsyncConnection, position: Position) -> None:
    """Create the version table of the domains, with the revision of a database from before the branches.

    A new database gets the table before its first revision, so its absence marks a database from before the branches.
    """
    for statement in recording(position):
        await connection.exec_driver_sql(statement)
    await connection.commit()
    if position.domains is not None:
        log.info("recorded the revision of the domains", revision=position.domains)


def recording(position: Position) -> list[str]:
    """Return the statements that create the version table of the domains if missing, and fill it if empty."""
    table, revision = DOMAINS.table, position.domains
    columns = f"version_num VARCHAR({ID_LENGTH}) NOT NULL, CONSTRAINT {table}_pkc PRIMARY KEY (version_num)"
    statements = [f"CREATE TABLE IF NOT EXISTS {table} ({columns})"]
    if revision is not None:
        statements.append(
            f"INSERT INTO {table} SELECT {literal(revision)} WHERE NOT EXISTS (SELECT FROM {table})"
        )
    return statements
