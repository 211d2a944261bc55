"""Connections of backup commands: one for SQL, and the same one as environment variables for libpq's programs."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

import asyncpg

from service import clock
from service.backup.errors import BackupError
from service.config import DatabaseSettings, Settings
from service.config.environment import child_environment
from service.database.connect import connect_options
from service.database.errors import CONNECTION_ERRORS, DatabaseUnavailableError, describe
from service.database.tls import VERIFIED

POLL_SECONDS = 0.5
# libpq, section 32.1.2 (names of parameters in a URL) and 32.15 (their environment variables).
_FROM_QUERY = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "passfile": "PGPASSFILE",
    "sslmode": "PGSSLMODE",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}
# What would lead libpq to another server or role than the settings say.
_CLEARED = (*_FROM_QUERY.values(), "PGDATABASE", "PGHOSTADDR", "PGSERVICE", "PGOPTIONS")
# The text of a row must not depend on the server's or the role's configuration.
_STABLE_TEXT = {
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
    "xmloption": "content",
    "search_path": "pg_catalog",
    "row_security": "off",
}


def in_database(settings: Settings, name: str) -> Settings:
    """Return the settings for another database of the same server."""
    database = settings.database
    if database.url is None:
        changed = database.model_copy(update={"name": name})
    else:
        parts = urlsplit(database.url.get_secret_value())._replace(path=f"/{name}")
        changed = database.model_copy(update={"url": type(database.url)(urlunsplit(parts))})
    return settings.model_copy(update={"database": changed})


def refuse_pooler(settings: Settings) -> None:
    """Raise `BackupError` if the settings lead to PgBouncer, which keeps no session."""
    if settings.database.pgbouncer:
        raise BackupError(
            "backups need PostgreSQL itself, not PgBouncer: name the server (SLIPWAY_DATABASE__HOST and __PORT, or "
            "__URL) with SLIPWAY_DATABASE__PGBOUNCER=false"
        )


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """Yield a connection without time limits on statements. Raises `DatabaseUnavailableError`."""
    options = connect_options(settings)
    options.pop("command_timeout")
    options["connection_class"] = asyncpg.Connection
    session = options["server_settings"]
    session |= {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0", **_STABLE_TEXT}
    session["client_connection_check_interval"] = "1000"  # a killed command leaves no statement behind
    try:
        connection = await asyncpg.connect(**options)
    except CONNECTION_ERRORS as error:
        raise DatabaseUnavailableError(describe(error)) from error
    try:
        yield connection
    finally:
        connection.terminate()


async def wait_for_server(settings: Settings, seconds: float) -> None:
    """Return when the server accepts connections, or after `seconds`. A server without this database counts."""
    deadline = clock.monotonic() + seconds
    while clock.monotonic() < deadline:
        try:
            async with connected(settings):
                return
        except DatabaseUnavailableError as error:
            if isinstance(error.__cause__, asyncpg.InvalidCatalogNameError):
                return
        await asyncio.sleep(POLL_SECONDS)


async def server_major(connection: asyncpg.Connection) -> int:
    """Return the major version of the server."""
    return int(await connection.fetchval("SELECT current_setting('server_version_num')::int / 10000"))


def libpq_environment(settings: Settings, **more: str) -> dict[str, str]:
    """Return the environment of a client program. The password is in it, and never on the command line."""
    database = settings.database
    given = dict(_of_url(database) if database.url is not None else _of_parts(settings))
    changes = {**dict.fromkeys(_CLEARED, ""), **given, "PGAPPNAME": settings.app.name, **more}
    changes["PGCONNECT_TIMEOUT"] = str(max(2, round(database.connect_timeout)))
    return {
        name: value for name, value in child_environment(**changes).items() if value or name not in changes
    }


def _of_parts(settings: Settings) -> Iterator[tuple[str, str]]:
    database = settings.database
    yield "PGHOST", database.host
    yield "PGPORT", str(database.port)
    yield "PGDATABASE", database.name
    yield "PGUSER", database.user
    yield "PGPASSWORD", settings.database_password()
    if "," in database.host:
        yield "PGTARGETSESSIONATTRS", "read-write"
    if not database.host.startswith("/"):
        yield "PGSSLMODE", database.ssl
        yield "PGSSLROOTCERT", _root_certificates(database)
        yield "PGSSLCERT", str(database.ssl_cert or "")
        yield "PGSSLKEY", str(database.ssl_key or database.ssl_cert or "")


def _root_certificates(database: DatabaseSettings) -> str:
    """Return the file of trusted certificates: the system's if none is configured, as in `service.database.tls`."""
    if database.ssl_root_cert is not None:
        return str(database.ssl_root_cert)
    return (ssl.get_default_verify_paths().cafile or "") if database.ssl in VERIFIED else ""


def _of_url(database: DatabaseSettings) -> Iterator[tuple[str, str]]:
    assert database.url is not None
    parts = urlsplit(database.url.get_secret_value())
    yield "PGHOST", parts.hostname or ""
    yield "PGPORT", str(parts.port or "")
    yield "PGDATABASE", unquote(parts.path.removeprefix("/"))
    yield "PGUSER", unquote(parts.username or "")
    yield "PGPASSWORD", unquote(parts.password or "")
    for name, value in parse_qsl(parts.query):
        if name in _FROM_QUERY:
            yield _FROM_QUERY[name], value
