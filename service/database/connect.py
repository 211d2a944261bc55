"""Connecting to PostgreSQL: where, as whom, within which times; and connections that end."""

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from service.config import Settings
from service.database import tls
from service.database.errors import CONNECTION_ERRORS, CommandTimeoutError

SILENCE_SECONDS = 1.0  # that other hosts get once one has answered


def _in_time(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(method)
    async def ask(*args: Any, **kwargs: Any) -> Any:
        try:
            return await method(*args, **kwargs)
        except TimeoutError as error:
            raise CommandTimeoutError from error

    return ask


class Connection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that leaves nothing session-scoped behind, so a release needs no round trip to reset it."""

    __slots__ = ()

    execute = _in_time(asyncpg.Connection.execute)
    executemany = _in_time(asyncpg.Connection.executemany)
    fetch = _in_time(asyncpg.Connection.fetch)
    fetchmany = _in_time(asyncpg.Connection.fetchmany)
    fetchrow = _in_time(asyncpg.Connection.fetchrow)
    fetchval = _in_time(asyncpg.Connection.fetchval)

    def get_reset_query(self) -> str:
        return ""


def is_gone(connection: asyncpg.Connection) -> bool:
    """Whether the connection has ended. One that has not is no reason for an `InterfaceError`: that is the caller's."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:  # the server has closed it, and the pool has taken it back
        return True


def terminate(connection: asyncpg.Connection) -> None:
    """Close the connection without a word to the server."""
    with contextlib.suppress(asyncpg.InterfaceError):  # the pool has taken it back
        connection.terminate()


def connect_options(settings: Settings) -> dict[str, Any]:
    """Arguments for `asyncpg.connect`: where, who, time-outs, application name."""
    db = settings.database
    options: dict[str, Any] = {
        "timeout": db.connect_timeout,
        "command_timeout": db.statement_timeout + 1,  # for a server that has gone silent
        "connection_class": Connection,
    }
    if db.url is not None:
        options["dsn"] = db.url.get_secret_value()
    else:
        hosts = db.host.split(",")
        options |= {
            "host": hosts,
            "port": [db.port] * len(hosts),
            "database": db.name,
            "user": db.user,
            "password": settings.database_password,  # called at each connect: a rotated file needs no restart
        }
        if len(hosts) > 1:
            options["target_session_attrs"] = "read-write"
        if not db.host.startswith("/"):
            options["ssl"] = tls.of_database(db)
    if db.pgbouncer:
        return options | {"statement_cache_size": 0}
    return options | {
        "statement_cache_size": settings.performance.statement_cache,
        "max_cached_statement_lifetime": 0,
        "server_settings": {
            "application_name": settings.app.name,
            "statement_timeout": _ms(db.statement_timeout),
            "lock_timeout": _ms(db.lock_timeout),
            "idle_in_transaction_session_timeout": _ms(db.idle_in_transaction_timeout),
            "timezone": "UTC",
        },
    }


def _ms(seconds: float) -> str:
    return str(round(seconds * 1000))


async def connect(settings: Settings) -> asyncpg.Connection:
    """A connection; with several hosts, to the one that takes writes. Raises one of `CONNECTION_ERRORS`.

    All hosts are asked at once. One after the other, a host that has gone silent would use up the time of those
    behind it.
    """
    options = connect_options(settings)
    hosts = options.get("host", [])
    if len(hosts) < 2:  # noqa: PLR2004
        return await asyncpg.connect(**options)
    attempts = [
        asyncio.create_task(asyncpg.connect(**{**options, "host": host, "port": settings.database.port}))
        for host in hosts
    ]
    chosen: asyncpg.Connection | None = None
    try:
        chosen = await _first(attempts)
    finally:
        for attempt in attempts:
            attempt.cancel()
        for made in await asyncio.gather(*attempts, return_exceptions=True):
            if isinstance(made, asyncpg.Connection) and made is not chosen:
                made.terminate()
    return chosen


async def _first(attempts: list[asyncio.Task[asyncpg.Connection]]) -> asyncpg.Connection:
    """The connection that is made first. Raises the last error when there is none.

    Once a host has answered, the silent ones get a moment only: it may be a standby that is promoted right now, and
    has to be asked anew.
    """
    pending, patience = set(attempts), None
    error: BaseException = TimeoutError()
    while pending:
        done, pending = await asyncio.wait(pending, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            break
        patience = SILENCE_SECONDS
        for attempt in done:
            try:
                return attempt.result()
            except CONNECTION_ERRORS as failed:
                error = failed
    raise error
