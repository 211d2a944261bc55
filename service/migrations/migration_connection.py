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
async def alone(connection: AsyncConnection, deadline: float) -> AsyncIterator[None]:
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


def cause_of(error: sa.exc.DBAPIError) -> BaseException | None:
    """What the driver has raised."""
    return error.orig.__cause__ if error.orig else None


def reason_of(error: sa.exc.DBAPIError) -> str:
    """What the server says, in one line."""
    return str(error.orig).splitlines()[0]
