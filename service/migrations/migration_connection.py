"""The connection that migrations run on, and the lock that lets one run at a time."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from service import clock
from service.config import Settings
from service.database import DatabaseUnavailableError
from service.database.connect import connect_options
from service.database.errors import CONNECTION_ERRORS, describe
from service.migrations import encoding
from service.migrations.errors import EncodingError, NotAtHeadError, PooledError

log = structlog.get_logger(__name__)

LOCK = 0x51_1B_3A_79  # any number, as long as it is the same everywhere
POLL = 0.5
SAME_SESSION = "SELECT 1 FROM pg_settings WHERE name = 'lock_timeout' AND setting = '{}'"


async def patiently(
    settings: Settings, wait: float, action: Callable[[AsyncConnection, Settings, float], Any]
) -> Any:
    """Run `action` on a connection. Retries with jitter, until the deadline, while the server is unreachable."""
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
    # A migration may run for a long time, and sets its own lock timeout.
    options.pop("command_timeout")
    if session := options.get("server_settings"):  # not sent through PgBouncer
        session.pop("statement_timeout")
        session.pop("idle_in_transaction_session_timeout")
        # Otherwise the server would continue the statement of a killed process, and hold its locks.
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
        if isinstance(cause := cause_of(error), CONNECTION_ERRORS):
            raise DatabaseUnavailableError(describe(cause)) from error
        raise
    finally:
        await engine.dispose()


async def _refuse_encoding(connection: AsyncConnection) -> None:
    found = await connection.scalar(sa.text(f"SELECT {encoding.QUERY}"))
    await connection.rollback()
    if refused := encoding.refusal(str(found)):
        raise EncodingError(refused)


async def refuse_pooler(connection: AsyncConnection, settings: Settings, what: str) -> None:
    """Raise `PooledError`, with the reason `what`, if the connection leads through a pooler.

    In transaction mode, a session's lock or setting stays on a server connection that the pooler gives to others. A
    PgBouncer that the settings do not mention is detected too: it refuses startup parameters, or ignores them.
    """
    if not settings.database.pgbouncer:
        sent = connect_options(settings)["server_settings"]["lock_timeout"]
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, asyncpg.Connection)
        # Without a prepared statement: behind a pooler, the server may already have one of this name.
        if await driver.execute(SAME_SESSION.format(sent)) == "SELECT 1":
            return
    raise PooledError(
        f"{what}, but slipway is connected through a pooler such as PgBouncer, which would keep the "
        "migration lock; connect to PostgreSQL directly (SLIPWAY_DATABASE__HOST and __PORT, or __URL) with "
        "SLIPWAY_DATABASE__PGBOUNCER=false"
    )


@asynccontextmanager
async def alone(connection: AsyncConnection, deadline: float) -> AsyncIterator[None]:
    """Hold the migration lock. The server releases it when the session ends, even if this process is killed."""
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
        ):  # the session has ended, which released the lock
            await connection.rollback()
            await connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})
            await connection.commit()


def cause_of(error: sa.exc.DBAPIError) -> BaseException | None:
    """Return the driver's exception."""
    return error.orig.__cause__ if error.orig else None


def reason_of(error: sa.exc.DBAPIError) -> str:
    """Return the first line of the server's message."""
    return str(error.orig).splitlines()[0]
