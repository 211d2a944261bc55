"""Connecting to PostgreSQL: host, role and timeouts; and detecting closed connections."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Container
from typing import Any

import asyncpg
from asyncpg import exceptions
from asyncpg.protocol import NO_TIMEOUT

from service import actor, clock
from service.config import Settings
from service.database import tls
from service.database.actor_context import ActorContext, current_context, set_context_sql
from service.database.errors import CONNECTION_ERRORS, CommandTimeoutError
from service.database.row_changes import ANNOUNCEMENT, RowChanges
from service.database.row_teller import TELL, RowTeller
from service.lazy_timer import LazyTimer

# How asyncpg ends a transaction or a savepoint. The actor is set before a savepoint: its rollback would undo it.
_ENDS = ("COMMIT", "ROLLBACK", "RELEASE")
SILENCE_SECONDS = 1.0  # time for the other hosts once one has answered


Method = Callable[..., Awaitable[Any]]
OnStatement = Callable[[float], None]
"""Called after each statement with its seconds."""


def _in_time(method: Method) -> Method:
    """Wrap the method: its time-outs are told from others, and `on_success` or `on_error` is called. asyncpg's query
    loggers would cost as much as the statement."""

    @functools.wraps(method)
    async def ask(self: "Connection", *args: Any, **kwargs: Any) -> Any:
        began = clock.monotonic()
        try:
            result = await method(self, *args, **kwargs)
        except BaseException as error:
            self.on_error(clock.monotonic() - began)
            if isinstance(error, TimeoutError):
                raise CommandTimeoutError from error
            raise
        self.on_success(clock.monotonic() - began)
        return result

    return ask


def _for_actor(method: Method) -> Method:
    """Wrap the method in a transaction that sets the actor, if there is one: the setting ends with the transaction."""
    in_time = _in_time(method)

    @functools.wraps(method)
    async def ask(self: "Connection", *args: Any, **kwargs: Any) -> Any:
        if current_context() is None:
            return await in_time(self, *args, **kwargs)
        if self.begins or self.is_in_transaction():
            await self.set_actor()
            return await in_time(self, *args, **kwargs)
        async with self.transaction():
            return await in_time(self, *args, **kwargs)

    return ask


def _nothing(_: float) -> None:
    pass


class Connection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that leaves no session state behind, so a release needs no round trip to reset it.

    Every transaction on it sets the actor in the same round trip as BEGIN. A statement outside a transaction is wrapped
    in one, except through `fetch_alone`. `changes` are the rows of `watched` tables that it has changed; its user takes
    them. `watched`, `generation` and `free_since` are the pool's, `orm` holds what SQLAlchemy keeps of it between
    sessions.
    """

    __slots__ = (
        "_context",
        "_patience",
        "_silent",
        "changes",
        "free_since",
        "generation",
        "on_error",
        "on_success",
        "orm",
        "teller",
        "watched",
    )

    executemany = _for_actor(asyncpg.Connection.executemany)
    fetch = _for_actor(asyncpg.Connection.fetch)
    fetchmany = _for_actor(asyncpg.Connection.fetchmany)
    fetchrow = _for_actor(asyncpg.Connection.fetchrow)
    fetchval = _for_actor(asyncpg.Connection.fetchval)

    _execute_for_actor = _for_actor(asyncpg.Connection.execute)
    _execute_alone = _in_time(asyncpg.Connection.execute)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._context: ActorContext | None = None
        self._patience = LazyTimer(self._loop, self._config.command_timeout, self._lose_patience)
        self._silent = False  # the server no longer answers
        self.changes = RowChanges()
        self.watched: Container[str] = ()
        self.on_success: OnStatement = _nothing
        self.on_error: OnStatement = _nothing
        self.generation = 0
        self.free_since = 0.0
        self.orm: list[Any] = []
        self.teller: RowTeller | None = None

    def _process_log_message(self, fields: dict[str, str], last_query: str) -> None:
        """As in asyncpg, whose listeners would have to be removed before each release."""
        if fields["M"] == ANNOUNCEMENT:
            if (table := fields["t"]) in self.watched:
                self.changes.add(table, fields["D"])
        else:
            super()._process_log_message(fields, last_query)

    async def fetch_alone(self, query: str, *args: Any) -> Any:
        """Run one statement that only reads, or that sets the actor itself.

        As `fetch` in asyncpg, which makes eleven calls on its way to a prepared statement, and sets a timer.
        """
        acting, protocol = actor.current(), self._protocol
        statement = self._stmt_cache.get((query, asyncpg.Record, False))
        if statement is None or protocol is None or (acting is not None and acting.rows is not None):
            return await self._fetch_otherwise(query, *args)
        began = clock.monotonic()
        self._patience.begin()
        try:
            rows = await protocol.bind_execute(statement, args, "", 0, False, NO_TIMEOUT)
        except BaseException as error:
            self._patience.end()
            self.on_error(clock.monotonic() - began)
            if self._silent:
                raise CommandTimeoutError from error
            if await self._can_repeat(error):
                return await self._fetch_otherwise(query, *args)
            raise
        self._patience.end()
        self.on_success(clock.monotonic() - began)
        return rows

    def _lose_patience(self) -> None:
        """A statement went unanswered for longer than `command_timeout`."""
        self._silent = True
        self.terminate()

    async def _can_repeat(self, error: BaseException) -> bool:
        """Drop what is outdated if the error says so. Returns whether the statement can then run."""
        if isinstance(error, exceptions.OutdatedSchemaCacheError):
            await self.reload_schema_state()
        elif isinstance(error, exceptions.InvalidCachedStatementError):  # a migration has changed its types
            self._drop_global_statement_cache()
            return not self.is_in_transaction()
        return False

    async def _fetch_unprepared(self, query: str, *args: Any) -> Any:
        """As `fetch_alone`, for what it leaves out."""
        self._check_open()
        acting = actor.current()
        if acting is not None and acting.rows is not None:
            return await self._fetch_telling(acting.rows.told, query, *args)
        return await asyncpg.Connection.fetch(self, query, *args)

    _fetch_otherwise = _in_time(_fetch_unprepared)

    async def _fetch_telling(self, rows: str, query: str, *args: Any) -> Any:
        """Run the statement in a transaction that knows the rows that the caller sees: in one round trip, once it is
        prepared."""
        statement, teller = self._stmt_cache.get((query, asyncpg.Record, False)), self.teller
        if statement is None or teller is None or self.is_in_transaction():
            return await self._fetch_in_transaction(query, *args)
        with self._stmt_exclusive_section:
            try:
                self._transport.write(teller.message(rows))
                return await self._protocol.bind_execute(statement, args, "", 0, False, None)
            except exceptions.InvalidCachedStatementError:
                self._drop_global_statement_cache()
            except Exception as error:
                if (
                    getattr(error, "severity_en", None) is None
                ):  # not the server's: asyncpg refused the arguments
                    self.terminate()  # nothing has ended what was told
                raise
        return await self._fetch_in_transaction(query, *args)

    async def _fetch_in_transaction(self, query: str, *args: Any) -> Any:
        if self.is_in_transaction():
            await self.set_actor()
            return await asyncpg.Connection.fetch(self, query, *args)
        async with self.transaction():
            if self.teller is None and self.statement_cache_size:
                self.teller = RowTeller(await self.prepare(TELL))
            return await asyncpg.Connection.fetch(self, query, *args)

    @property
    def statement_cache_size(self) -> int:
        """How many prepared statements it may keep; none behind PgBouncer."""
        return int(self._config.statement_cache_size)

    @property
    def has_transaction(self) -> bool:
        """Whether a transaction is open; False if the connection is closed."""
        return self._protocol is not None and self._protocol.is_in_transaction()

    @property
    def begins(self) -> bool:
        """Whether an asyncpg transaction is about to send its BEGIN."""
        return self._top_xact is not None and not self.is_in_transaction()

    async def execute(self, query: str, *args: Any, **kwargs: Any) -> Any:
        """As in asyncpg; BEGIN also sets the actor."""
        if self.begins:
            self._context = current_context()
            begin = query if self._context is None else f"{query} {set_context_sql(self._context)}"
            return await self._execute_alone(begin, *args, **kwargs)
        if self.is_in_transaction() and query.startswith(_ENDS):
            return await self._execute_alone(query, *args, **kwargs)
        return await self._execute_for_actor(query, *args, **kwargs)

    async def set_actor(self) -> None:
        """Set the actor of the transaction, if it was set or has changed since BEGIN."""
        context, before = current_context(), self._context
        if context is not None and context != before:
            self._context = context
            if context.rows is None and before is not None and before.rows is not None:
                context = context._replace(
                    rows=""
                )  # unlike its predecessor, it sees no row that has an owner
            await self._execute_alone(set_context_sql(context))

    async def roll_back(self) -> None:
        """End a transaction that was left open, after a cancelled statement has ended."""
        await self._execute_alone("SELECT")  # asyncpg waits for the end of the cancelled one first
        if self.is_in_transaction():
            await self._execute_alone("ROLLBACK")


def connect_options(settings: Settings, password: str | None = None) -> dict[str, Any]:
    """Return the arguments of `asyncpg.connect`: host, role, timeouts and application name. Without a password, the
    current one; a URL has its own."""
    db = settings.database
    options: dict[str, Any] = {
        "timeout": db.connect_timeout,
        "command_timeout": db.statement_timeout + 1,  # for a server that no longer answers
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
            # Called for every connection, so rotation needs no restart.
            "password": settings.database_password if password is None else password,
        }
        if len(hosts) > 1:
            options["target_session_attrs"] = "read-write"
        if not db.host.startswith("/"):
            options["ssl"] = tls.ssl_argument(db)
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


async def connect(settings: Settings, password: str | None = None) -> Connection:
    """Return a connection; with several hosts, to the one that accepts writes. Raises one of `CONNECTION_ERRORS`.

    It tries all hosts concurrently: in sequence, a host that does not answer would use up the time of the others.
    """
    options = connect_options(settings, password)
    hosts = options.get("host", [])
    if len(hosts) < 2:  # noqa: PLR2004
        made: Connection = await asyncpg.connect(**options)
        return made
    attempts = [
        asyncio.create_task(asyncpg.connect(**{**options, "host": host, "port": settings.database.port}))
        for host in hosts
    ]
    chosen: Connection | None = None
    try:
        chosen = await _first(attempts)
    finally:
        for attempt in attempts:
            attempt.cancel()
        for opened in await asyncio.gather(*attempts, return_exceptions=True):
            if isinstance(opened, Connection) and opened is not chosen:
                opened.terminate()
    return chosen


async def _first(attempts: list[asyncio.Task[Connection]]) -> Connection:
    """Return the first connection that succeeds. Raises the last error if all fail.

    Once a host has answered, the others get only a moment: it may be a standby that is being promoted, which the caller
    must try again.
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
