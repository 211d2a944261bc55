"""What all commands share: errors as messages and exit codes, and database sessions."""

import asyncio
import functools
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, ParamSpec, TypeVar

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from service.actor import EVERY_ROW, Actor, acting_as
from service.cli.errors import CommandError, Exit
from service.config import Settings
from service.config.loading import SettingsError
from service.database import Database, DatabaseUnavailableError
from service.http.server.listeners import PortTakenError
from service.migrations.errors import (
    BackwardsError,
    EncodingError,
    MigrationFailedError,
    NotAtHeadError,
    PooledError,
    RequiredColumnError,
    ScriptsError,
    SeveralHeadsError,
    UnknownRevisionError,
)
from service.migrations.grants import AppRoleError

P = ParamSpec("P")
T = TypeVar("T")

_CODES: dict[type[Exception], Exit] = {
    DatabaseUnavailableError: Exit.UNAVAILABLE,
    asyncpg.LockNotAvailableError: Exit.UNAVAILABLE,
    asyncpg.QueryCanceledError: Exit.UNAVAILABLE,
    asyncpg.TransactionRollbackError: Exit.UNAVAILABLE,
    PortTakenError: Exit.PORT_TAKEN,
    MigrationFailedError: Exit.MIGRATION,
    BackwardsError: Exit.MIGRATION,
    PooledError: Exit.MIGRATION,
    EncodingError: Exit.MIGRATION,
    ScriptsError: Exit.MIGRATION,
    RequiredColumnError: Exit.MIGRATION,
    SeveralHeadsError: Exit.MIGRATION,
    AppRoleError: Exit.MIGRATION,
    UnknownRevisionError: Exit.USAGE,
    NotAtHeadError: Exit.NOT_AT_HEAD,
}
_PREFIXES: dict[type[Exception], str] = {
    DatabaseUnavailableError: "cannot reach the database: ",
    asyncpg.LockNotAvailableError: "what another process holds was not free within SLIPWAY_DATABASE__LOCK_TIMEOUT: ",
    asyncpg.QueryCanceledError: "the database gave up: ",
    asyncpg.TransactionRollbackError: "the database rolled this back, try again: ",
}


def exit_with_message(command: Callable[P, T]) -> Callable[P, T]:
    """Decorate a command: its errors become lines on standard error and an exit code, not a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            with acting_as(Actor(f"cli:{command.__name__.strip('_')}", rows=EVERY_ROW)):
                return command(*args, **kwargs)
        except SettingsError as error:
            _say(*error.reasons)
            raise SystemExit(Exit.SETTINGS) from None
        except CommandError as error:
            _say(*str(error).splitlines())
            raise SystemExit(error.exit_code) from None
        except tuple(_CODES) as error:
            _say(next((text for kind, text in _PREFIXES.items() if isinstance(error, kind)), "") + str(error))
            raise SystemExit(next(code for kind, code in _CODES.items() if isinstance(error, kind))) from None

    return wrapped


def _say(*lines: str) -> None:
    for line in lines:
        sys.stderr.write(f"slipway: {line}\n")


@asynccontextmanager
async def session_of(settings: Settings) -> AsyncIterator[AsyncSession]:
    """Yield an ORM session in one transaction, and close its connections at the end.

    Raises `NotAtHeadError` if a table or column is missing because migrations are pending. Other pending migrations are
    ignored.
    """
    database = Database(settings)
    try:
        async with database.session() as session:
            yield session
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):
        from service.migrations import runner  # noqa: PLC0415  # Alembic is slow to import, and serving does not need it

        await runner.check(settings)
        raise
    finally:
        await database.stop()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; Ctrl-C ends it."""
    return asyncio.run(work)
