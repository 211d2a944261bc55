"""Runs migrations: one run at a time, under an advisory lock, with bounded waits. Returns fast at the head."""

import asyncio
import random
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import sqlalchemy as sa
import structlog
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from service import clock
from service.config import Settings
from service.database.errors import CONNECTION_ERRORS
from service.migrations import grants, revisions, unfinished
from service.migrations.branches import Branch, known
from service.migrations.errors import LockedError, MigrationFailedError, NotAtHeadError, PooledError
from service.migrations.migration_connection import POLL, alone, cause_of, patiently, reason_of, refuse_pooler
from service.migrations.revisions import Position
from service.migrations.role import ensure, settled
from service.migrations.version_tables import current, read, record

log = structlog.get_logger(__name__)

SCRIPTS = Path(__file__).parent  # env.py, for both branches
FIRST_LOCK_WAIT = 0.05  # seconds; each further attempt waits twice as long, up to the setting


@dataclass(frozen=True)
class Outcome:
    """The revisions of the database before and after a run."""

    before: Position
    after: Position

    @property
    def changed(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True)
class Checked:
    """The revisions of a database that this version can serve, and why its last migration did not finish, if so."""

    position: Position
    unfinished: str


def configuration(branch: Branch, **more: Any) -> Config:
    """Return Alembic's configuration for a branch."""
    config = Config(**more)
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("version_locations", str(branch.location))
    config.set_main_option("path_separator", "newline")
    config.attributes["branch"] = branch
    return config


async def upgrade(settings: Settings, *, to: str = "head", wait: float = 0) -> Outcome:
    """Bring the database to the heads, or to a revision as `revisions.target` says.

    Waits up to `wait` seconds for the server, for another migration to end, and for locks. Raises
    `UnknownRevisionError`, `BackwardsError`, `DatabaseUnavailableError`, `EncodingError`, `PooledError`,
    `SeveralHeadsError`, `MigrationFailedError` or `grants.AppRoleError`.
    """
    outcome: Outcome = await patiently(settings, wait, partial(_upgrade, target=revisions.target(to)))
    return outcome


async def check(settings: Settings, *, wait: float = 0) -> Checked:
    """Return the database's revisions. Raises `NotAtHeadError` unless they are compatible within `wait` seconds."""
    checked: Checked = await patiently(settings, wait, _check)
    return checked


async def position_of(settings: Settings, *, wait: float = 0) -> Position:
    """Return the revisions of the database. Waits up to `wait` seconds for the server, then raises
    `DatabaseUnavailableError`."""

    async def look(connection: AsyncConnection, _settings: Settings, _deadline: float) -> Position:
        return await current(connection)

    position: Position = await patiently(settings, wait, look)
    return position


async def _check(connection: AsyncConnection, _settings: Settings, _deadline: float) -> Checked:
    try:
        position = await current(connection)
    except sa.exc.ProgrammingError as error:
        # Permission denied: the first migration has not granted anything yet.
        raise NotAtHeadError(f"cannot read the revision of the database: {reason_of(error)}") from error
    left = await unfinished.read(connection)
    if behind := revisions.behind(position):
        at = "none" if position.chassis is None else position.of(*behind)
        reason = f"the database is at revision {at}, this version needs {revisions.heads().of(*behind)}"
        raise NotAtHeadError(f"{reason}; {left}" if left else reason)
    return Checked(position, left)


async def _upgrade(
    connection: AsyncConnection, settings: Settings, deadline: float, *, target: Position
) -> Outcome:
    try:
        outcome = await _upgrade_if_pending(connection, settings, deadline, target=target)
    except (MigrationFailedError, PooledError, grants.AppRoleError) as error:
        await unfinished.note_failure(connection, target, error)
        raise
    await unfinished.forget(connection, target)
    return outcome


async def _upgrade_if_pending(
    connection: AsyncConnection, settings: Settings, deadline: float, *, target: Position
) -> Outcome:
    role = settings.database.app_role
    if role:
        if password := settings.database.app_password.get_secret_value():
            if await grants.exists(connection, role):  # never change the password of a role that is refused
                await grants.check(connection, role)
            if not await settled(connection, role, password):
                await refuse_pooler(connection, settings, f"the password of role {role} must be set")
                await ensure(connection, role, password)
        await grants.check(connection, role)
    before = await current(connection)
    if (
        before.recorded
        and not revisions.steps(before, target)
        and not (role and revisions.is_known(before) and await grants.pending(connection, role))
    ):
        return Outcome(before, before)
    await refuse_pooler(connection, settings, "there are pending changes")
    async with alone(connection, deadline):
        return await _upgrade_alone(connection, settings, deadline, target=target)


async def _upgrade_alone(
    connection: AsyncConnection, settings: Settings, deadline: float, *, target: Position
) -> Outcome:
    """Run the pending steps. The caller holds the migration lock."""
    before = await current(connection)
    steps = revisions.steps(before, target)
    if not before.recorded:
        await record(connection, before)
    if steps:
        await unfinished.note_start(connection, target)
    for branch, missing in steps.items():
        await _migrate(connection, settings, deadline, branch, missing[-1])
    after = await current(connection)
    if steps:
        log.info("database migrated", before=str(before), after=str(after))
    if settings.database.app_role and revisions.is_known(after):
        await grants.settle(connection, settings.database.app_role)
    return Outcome(before, after)


async def _migrate(
    connection: AsyncConnection, settings: Settings, deadline: float, branch: Branch, to: str
) -> None:
    """Upgrade a branch. Retries after a lock timeout until the deadline.

    Requests for a table queue behind a migration that waits for its lock. So the first attempts are short, and queued
    requests run between attempts.
    """
    most = settings.database.migration_lock_timeout
    wait = min(FIRST_LOCK_WAIT, most) if clock.monotonic() < deadline else most
    while True:
        await connection.execute(
            sa.text("SELECT set_config('lock_timeout', :ms, false)"), {"ms": f"{wait * 1000:.0f}"}
        )
        await connection.commit()
        try:
            return await connection.run_sync(_run, branch, to)
        except LockedError as error:
            if clock.monotonic() >= deadline:
                raise
            log.info("waiting for a lock", reason=str(error), waited=round(wait, 1))
        wait = min(wait * 2, most)
        await asyncio.sleep(max(POLL, wait) * random.uniform(0.5, 1.5))  # noqa: S311  # jitter, no secret


def _run(connection: Connection, branch: Branch, to: str) -> None:
    config = configuration(branch)
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, to)
    except sa.exc.DBAPIError as error:
        cause = cause_of(error)
        if isinstance(cause, CONNECTION_ERRORS):
            raise
        locked = isinstance(cause, asyncpg.LockNotAvailableError | asyncpg.DeadlockDetectedError)
        kind = LockedError if locked else MigrationFailedError
        raise kind(f"{_where(connection, branch)}: {reason_of(error)}") from error
    except Exception as error:
        log.exception("a migration raised an exception")
        raise MigrationFailedError(
            f"{_where(connection, branch)}: {type(error).__name__}: {error}"
        ) from error


def _where(connection: Connection, branch: Branch) -> str:
    """Return which migration failed, and the revisions of the database after that."""
    connection.rollback()
    position, line = read(connection), known(branch)
    at = position.at(branch)
    return f"migration {line[line.index(at) + 1 if at else 0]} failed; the database is at revision {position}"
