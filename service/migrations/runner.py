"""Running migrations: one at a time under an advisory lock, bounded in what they wait for, fast at head."""

import asyncio
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg
import sqlalchemy as sa
import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from service import clock
from service.config import Settings
from service.database import LOST, DatabaseUnavailableError, connect_options, why
from service.migrations import grants

log = structlog.get_logger(__name__)

LOCK = 0x51_1B_3A_79  # any number, as long as it is the same everywhere
POLL = 0.5
LOCATION = Path(__file__).parent


class MigrationFailedError(Exception):
    """A migration did not go through; the database is at the last revision that did."""


class NotAtHeadError(Exception):
    """The database is not at the revision that this version was built with."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(LOCATION))
    return config


@cache
def script_directory() -> ScriptDirectory:
    """The migrations that this version was built with."""
    return ScriptDirectory.from_config(_config())


@cache
def head() -> str:
    """The newest revision that this version knows."""
    revision = script_directory().get_current_head()
    assert revision is not None
    return revision


def compatible(current: str | None) -> bool:
    """Whether this version can serve a database at `current`: its own head, or one newer than all it knows.

    A newer database was expanded by a newer version; contracting waits until the old version is gone.
    """
    known = {script.revision for script in script_directory().walk_revisions()}
    return current == head() or (current is not None and current not in known)


async def upgrade(settings: Settings, *, wait: float = 0) -> bool:
    """Bring the database to the head; False when it was there already.

    Waits up to `wait` seconds for the server and for another migration to end. Raises
    `DatabaseUnavailableError`, `MigrationFailedError` or `grants.AppRoleError`.
    """
    return bool(await _patiently(settings, wait, _upgrade))


async def check(settings: Settings, *, wait: float = 0) -> None:
    """Raise `NotAtHeadError` unless the database is at a compatible revision, now or within `wait` seconds."""
    await _patiently(settings, wait, _check)


async def _patiently(
    settings: Settings, wait: float, action: Callable[[AsyncConnection, Settings, float], Any]
) -> Any:
    """Run `action` on a connection, again with jitter while the server cannot be reached and time is left."""
    deadline = clock.monotonic() + wait
    while True:
        try:
            return await _connected(settings, action, deadline)
        except (DatabaseUnavailableError, NotAtHeadError) as error:
            if clock.monotonic() >= deadline:
                raise
            log.info("waiting for the database", reason=str(error))
            await asyncio.sleep(POLL * random.uniform(0.5, 1.5))  # noqa: S311  # jitter, no secret


async def _connected(
    settings: Settings, action: Callable[[AsyncConnection, Settings, float], Any], deadline: float
) -> Any:
    options = connect_options(settings)
    # A migration may run for long, and waits for locks by its own bound.
    options.pop("command_timeout")
    session = options.get("server_settings", {})
    session.pop("statement_timeout", None)
    session.pop("idle_in_transaction_session_timeout", None)

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(**options)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return await action(connection, settings, deadline)
    except LOST as error:
        raise DatabaseUnavailableError(why(error)) from error
    except sa.exc.DBAPIError as error:
        if isinstance(error.orig.__cause__ if error.orig else None, LOST):
            raise DatabaseUnavailableError(why(error.orig.__cause__)) from error  # type: ignore[union-attr,arg-type]
        raise
    finally:
        await engine.dispose()


async def current(connection: AsyncConnection) -> str | None:
    """The revision of a database, None for an empty one."""
    revision = await connection.run_sync(lambda c: MigrationContext.configure(c).get_current_revision())
    await connection.rollback()
    return revision


async def _check(connection: AsyncConnection, _settings: Settings, _deadline: float) -> None:
    try:
        revision = await current(connection)
    except (
        sa.exc.ProgrammingError
    ) as error:  # permission denied: the first migration has not come to its grants
        raise NotAtHeadError(f"the revision of the database cannot be read: {_reason(error)}") from error
    if not compatible(revision):
        raise NotAtHeadError(f"the database is at revision {revision or 'none'}, this version needs {head()}")


async def _upgrade(connection: AsyncConnection, settings: Settings, deadline: float) -> bool:
    role = settings.database.app_role
    if role:
        await grants.check(connection, role)
    at = await current(connection)
    if compatible(at) and not (role and at == head() and await grants.pending(connection, role)):
        return False
    await _lock(connection, deadline)
    try:
        before = await current(connection)
        if not compatible(before):
            await _migrate(connection, settings)
            log.info("database migrated", before=before, after=head())
        if role and await current(connection) == head():
            await grants.settle(connection, role)
        return not compatible(before)
    finally:
        await connection.rollback()
        await connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})
        await connection.commit()


async def _migrate(connection: AsyncConnection, settings: Settings) -> None:
    await connection.execute(
        sa.text("SELECT set_config('lock_timeout', :ms, false)"),
        {"ms": f"{settings.database.migration_lock_timeout * 1000:.0f}"},
    )
    await connection.commit()
    await connection.run_sync(_run)


async def _lock(connection: AsyncConnection, deadline: float) -> None:
    while not await connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
        await connection.rollback()
        if clock.monotonic() >= deadline:
            raise DatabaseUnavailableError("another migration is running")
        await asyncio.sleep(POLL)
    await connection.commit()


def _run(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except Exception as error:
        if isinstance(error, sa.exc.DBAPIError):
            reason = _reason(error)
        else:
            reason = f"{type(error).__name__}: {error}"
            log.exception("a migration has a defect")
        connection.rollback()
        message = f"migration {_next(connection)} failed, nothing of it was kept: {reason}"
        raise MigrationFailedError(message) from error


def _reason(error: sa.exc.DBAPIError) -> str:
    """What the server says, in one line."""
    return str(error.orig).splitlines()[0]


def _next(connection: Connection) -> str:
    """The revision after the one that the database is at."""
    at = MigrationContext.configure(connection).get_current_revision()
    *_, after = script_directory().iterate_revisions("head", at or "base")
    return after.revision
