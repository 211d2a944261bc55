"""Errors of database access, and the library errors behind them."""

import asyncpg

# Errors that mean the server is unreachable, not that the statement is wrong.
CONNECTION_ERRORS = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the connection closed before the statement was sent, or no host accepts writes
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


class DatabaseUnavailableError(Exception):
    """No connection in time, or the server is unreachable. The message holds no secret; the caller may retry."""


class ConnectionLostError(DatabaseUnavailableError):
    """The connection was lost during a statement; the statement may or may not have run."""


class OutOfResourcesError(DatabaseUnavailableError):
    """The server is up, but lacks resources for the statement: disk, memory, or a configured limit.

    The statement had no effect.
    """


class CommandTimeoutError(TimeoutError):
    """A statement went unanswered for longer than `command_timeout`.

    Any other `TimeoutError` comes from the code that uses the connection, and says nothing about the database.
    """


def describe(error: BaseException) -> str:
    """Return one line that says why the database cannot be reached."""
    if isinstance(error, CommandTimeoutError):
        return "no response in time"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    return f"{type(error).__name__}: {error}".splitlines()[0]
