"""Why the last migration did not finish: a comment on a version table, which outlives the Job, its logs and a rollback.

Every role of the database can read it, and it needs no table of its own, which an unfinished migration might lack
(docs/decisions/0043-failed-migrations.md).
"""

from contextlib import suppress
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service import clock
from service.database.errors import CONNECTION_ERRORS
from service.migrations.branches import DOMAINS
from service.migrations.revisions import Position
from service.models.sql_identifiers import literal

READ = sa.text(f"SELECT obj_description(to_regclass('{DOMAINS.table}'), 'pg_class')")


async def read(connection: AsyncConnection) -> str:
    """Return what `note_start` or `note_failure` noted last; empty if that migration has finished since."""
    found = await connection.scalar(READ)
    await connection.rollback()
    return found or ""


async def note_start(connection: AsyncConnection, target: Position) -> None:
    """Note that a migration begins: the note stays if the process is killed."""
    await _comment(connection, f"{_subject(target)} began at {_text(clock.now())} and has not finished")


async def note_failure(connection: AsyncConnection, target: Position, error: Exception) -> None:
    """Note why the migration failed. Does nothing if the version table does not exist, or belongs to another role."""
    await _comment(connection, f"{_subject(target)} failed at {_text(clock.now())}: {error}")


async def forget(connection: AsyncConnection, target: Position) -> None:
    """Delete the note of an earlier run to the same target. That of a newer version stays, after a rollback, too."""
    if (await read(connection)).startswith(f"{_subject(target)} "):
        await _comment(connection, None)


def _subject(target: Position) -> str:
    return f"the migration to revision {target}"


def _text(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"


async def _comment(connection: AsyncConnection, text: str | None) -> None:
    statement = f"COMMENT ON TABLE {DOMAINS.table} IS {'NULL' if text is None else literal(text)}"
    with suppress(sa.exc.SQLAlchemyError, *CONNECTION_ERRORS):  # the outcome of the migration matters more
        await connection.rollback()
        try:
            await connection.exec_driver_sql(statement)
            await connection.commit()
        finally:
            await connection.rollback()
