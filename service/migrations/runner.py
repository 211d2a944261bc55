"""Running migrations: one at a time under an advisory lock, bounded in what they wait for, fast at head."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg
import sqlalchemy as sa
import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from service import clock
from service.config import Settings
from service.database import DatabaseUnavailableError
from service.database.connect import connect_options
from service.database.errors import CONNECTION_ERRORS, describe
from service.migrations import encoding, grants, revisions
from service.migrations.errors import (
    EncodingError,
    LockedError,
    MigrationFailedError,
    NotAtHeadError,
    PooledError,
    SeveralHeadsError,
)
from service.migrations.role import ensure, settled

log = structlog.get_logger(__name__)

LOCK = 0x51_1B_3A_79  # any number, as long as it is the same everywhere
POLL = 0.5
SAME_SESSION = "SELECT 1 FROM pg_settings WHERE name = 'lock_timeout' AND setting = '{}'"
FIRST_LOCK_WAIT = 0.05  # seconds; each further attempt waits twice as long, up to the setting


@dataclass(frozen=True)
class Outcome:
    """The revisions of the database before and after a run; None is an empty database."""

    before: str | None
    after: str | None

    @property
    def changed(self) -> bool:
        return self.before != self.after


def configuration(**more: Any) -> Config:
    """What Alembic needs to find the migrations."""
    config = Config(**more)
    config.set_main_option("script_location", str(revisions.LOCATION))
    return config


async def upgrade(settings: Settings, *, to: str = "head", wait: float = 0) -> Outcome:
    """Bring the database to a revision.

    Waits up to `wait` seconds for the server, for another migration to end, and for locks. Raises
    `UnknownRevisionError`, `BackwardsError`, `DatabaseUnavailableError`, `EncodingError`, `PooledError`,
    `SeveralHeadsError`, `MigrationFailedError` or `grants.AppRoleError`.
    """
    outcome: Outcome = await _patiently(settings, wait, partial(_upgrade, target=revisions.known(to)))
    return outcome


async def check(settings: Settings, *, wait: float = 0) -> str:
    """The revision of the database. Raises `NotAtHeadError` unless it is a compatible one within `wait` seconds."""
    return str(await _patiently(settings, wait, _check))


async def revision_of(settings: Settings, *, wait: float = 0) -> str | None:
    """The revision that the database is at, None for an empty one. Waits up to `wait` seconds for the server, then
    raises `DatabaseUnavailableError`."""

    async def look(connection: AsyncConnection, _settings: Settings, _deadline: float) -> str | None:
        return await current(connection)

    revision: str | None = await _patiently(settings, wait, look)
    return revision


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
    if session := options.get("server_settings"):  # PgBouncer takes none
        session.pop("statement_timeout")
        session.pop("idle_in_transaction_session_timeout")
        # Or else the server goes on with the statement of a process that was killed, and keeps its locks.
        session["client_connection_check_interval"] = "1000"

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(**options)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await _refuse_encoding(connection)
            return await action(connection, settings, deadline)
    except CONNECTION_ERRORS as error:
        raise DatabaseUnavailableError(describe(error)) from error
    except sa.exc.DBAPIError as error:
        if isinstance(cause := _cause(error), CONNECTION_ERRORS):
            raise DatabaseUnavailableError(describe(cause)) from error
        raise
    finally:
        await engine.dispose()


async def _refuse_encoding(connection: AsyncConnection) -> None:
    found = await connection.scalar(sa.text(f"SELECT {encoding.QUERY}"))
    await connection.rollback()
    if refused := encoding.refusal(str(found)):
        raise EncodingError(refused)


async def current(connection: AsyncConnection) -> str | None:
    """The revision of a database, None for an empty one. Raises `SeveralHeadsError`."""
    heads = await connection.run_sync(lambda c: MigrationContext.configure(c).get_current_heads())
    await connection.rollback()
    if len(heads) > 1:
        raise SeveralHeadsError(
            f"the database is at several revisions at once: {', '.join(sorted(heads))}; "
            "delete all but the right one from the table alembic_version"
        )
    return heads[0] if heads else None


async def _check(connection: AsyncConnection, _settings: Settings, _deadline: float) -> str | None:
    try:
        revision = await current(connection)
    except sa.exc.ProgrammingError as error:
        # Permission denied: the first migration has not come to its grants.
        raise NotAtHeadError(f"the revision of the database cannot be read: {_reason(error)}") from error
    if not revisions.compatible(revision):
        raise NotAtHeadError(
            f"the database is at revision {revision or 'none'}, this version needs {revisions.head()}"
        )
    return revision


async def _upgrade(
    connection: AsyncConnection, settings: Settings, deadline: float, *, target: str
) -> Outcome:
    role = settings.database.app_role
    if role:
        if password := settings.database.app_password.get_secret_value():
            if await grants.exists(connection, role):  # before it gets a password that is not its own
                await grants.check(connection, role)
            if not await settled(connection, role, password):
                await _refuse_pooler(connection, settings, f"the password of role {role} to set")
                await ensure(connection, role, password)
        await grants.check(connection, role)
    before = await current(connection)
    if revisions.reached(before, target) and not (
        role and before in revisions.revisions() and await grants.pending(connection, role)
    ):
        return Outcome(before, before)
    await _refuse_pooler(connection, settings, "something to migrate")
    async with _alone(connection, deadline):
        before = await current(connection)
        if not revisions.reached(before, target):
            await _migrate(connection, settings, deadline, target)
            log.info("database migrated", before=before, after=target)
        after = await current(connection)
        if role and after in revisions.revisions():
            await grants.settle(connection, role)
        return Outcome(before, after)


async def _refuse_pooler(connection: AsyncConnection, settings: Settings, what: str) -> None:
    """There is `what` to do: raise `PooledError` unless the session is this connection's own.

    In transaction mode a lock or a setting of the session stays behind on a connection that others get next. Who
    does not say that there is a PgBouncer is found out: it takes no start-up parameter, or drops it when told to.
    """
    if not settings.database.pgbouncer:
        sent = connect_options(settings)["server_settings"]["lock_timeout"]
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, asyncpg.Connection)
        # Sent as plain text: a pooler may lead to a server that knows a prepared statement of this name.
        if await driver.execute(SAME_SESSION.format(sent)) == "SELECT 1":
            return
    raise PooledError(
        f"there is {what}, and between slipway and PostgreSQL is a pooler such as PgBouncer, which would "
        "keep the lock of migrations; name PostgreSQL itself (SLIPWAY_DATABASE__HOST and __PORT, or __URL) with "
        "SLIPWAY_DATABASE__PGBOUNCER=false"
    )


@asynccontextmanager
async def _alone(connection: AsyncConnection, deadline: float) -> AsyncIterator[None]:
    """Hold the lock that all migrations take. It ends with the session, whatever becomes of this process."""
    while not await connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
        await connection.rollback()
        if clock.monotonic() >= deadline:
            raise DatabaseUnavailableError("another migration is running")
        await asyncio.sleep(POLL)
    await connection.commit()
    try:
        yield
    finally:
        with suppress(
            sa.exc.SQLAlchemyError, *CONNECTION_ERRORS
        ):  # the session is gone, and with it the lock
            await connection.rollback()
            await connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})
            await connection.commit()


async def _migrate(connection: AsyncConnection, settings: Settings, deadline: float, target: str) -> None:
    """Upgrade, again after a lock that was not to be had in time.

    Whoever asks for a table behind a migration that waits for it waits as well. So the first attempts are short, and
    between two of them those requests are served.
    """
    most = settings.database.migration_lock_timeout
    wait = min(FIRST_LOCK_WAIT, most) if clock.monotonic() < deadline else most
    while True:
        await connection.execute(
            sa.text("SELECT set_config('lock_timeout', :ms, false)"), {"ms": f"{wait * 1000:.0f}"}
        )
        await connection.commit()
        try:
            return await connection.run_sync(_run, target)
        except LockedError as error:
            if clock.monotonic() >= deadline:
                raise
            log.info("waiting for a lock", reason=str(error), waited=round(wait, 1))
        wait = min(wait * 2, most)
        await asyncio.sleep(max(POLL, wait) * random.uniform(0.5, 1.5))  # noqa: S311  # jitter, no secret


def _run(connection: Connection, target: str) -> None:
    config = configuration()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, target)
    except sa.exc.DBAPIError as error:
        cause = _cause(error)
        if isinstance(cause, CONNECTION_ERRORS):
            raise
        locked = isinstance(cause, asyncpg.LockNotAvailableError | asyncpg.DeadlockDetectedError)
        kind = LockedError if locked else MigrationFailedError
        raise kind(f"{_where(connection)}: {_reason(error)}") from error
    except Exception as error:
        log.exception("a migration has a defect")
        raise MigrationFailedError(f"{_where(connection)}: {type(error).__name__}: {error}") from error


def _where(connection: Connection) -> str:
    """Which migration has failed, and where it has left the database."""
    connection.rollback()
    at = MigrationContext.configure(connection).get_current_revision()
    failed = revisions.revisions()[revisions.revisions().index(at) + 1 if at else 0]
    return f"migration {failed} failed, the database is at revision {at or 'none'}"


def _cause(error: sa.exc.DBAPIError) -> BaseException | None:
    """What the driver has raised."""
    return error.orig.__cause__ if error.orig else None


def _reason(error: sa.exc.DBAPIError) -> str:
    """What the server says, in one line."""
    return str(error.orig).splitlines()[0]
