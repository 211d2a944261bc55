"""What goes wrong between this process and PostgreSQL, and which errors of the libraries say so."""

import asyncpg

# What tells that the server or the way to it is gone, not that the statement is wrong.
CONNECTION_ERRORS = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection ended just as a statement was to be sent, or none takes writes
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
    """No connection in time, or the server is gone. The message holds no secret; the caller may try again."""


class ConnectionLostError(DatabaseUnavailableError):
    """The connection ended under a statement, of which nobody knows whether it was run."""


class OutOfResourcesError(DatabaseUnavailableError):
    """The server lives, and lacks room to run the statement: its disk is full, its memory, a limit of its own.

    The statement had no effect.
    """


class CommandTimeoutError(TimeoutError):
    """A statement went unanswered for longer than `command_timeout`.

    Another `TimeoutError` comes from the code that uses the connection, and tells nothing of the database.
    """


def describe(error: BaseException) -> str:
    """One line on what is wrong with the way to the database."""
    if isinstance(error, CommandTimeoutError):
        return "no answer in time"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    return f"{type(error).__name__}: {error}".splitlines()[0]
