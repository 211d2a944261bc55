"""Databases next to the one in use: made for a restore, and swapped with it by renaming."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
import orjson

from service import clock
from service.backup.backup_connection import connected, in_database, refuse_pooler
from service.backup.errors import BackupError
from service.backup.restore_backup import Chosen, fill
from service.config import Settings
from service.database import DatabaseUnavailableError
from service.models.sql_identifiers import literal, quoted

MAINTENANCE = ("postgres", "template1")
LOCK = 0x51_1B_3A_7C
SWAP_SECONDS = 15.0
_LONGEST = 40  # bytes of the name that are left, of 63, for what tells databases apart
# What belongs to a database and is in no dump: settings, and privileges on the database itself.
SETTINGS = """
SELECT format('ALTER %s SET %s TO %s', CASE s.setrole WHEN 0 THEN format('DATABASE %I', $2::text)
  ELSE format('ROLE %I IN DATABASE %I', s.setrole::regrole::text, $2::text) END,
  split_part(c, '=', 1), quote_literal(substr(c, strpos(c, '=') + 1)))
FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS c WHERE d.datname = $1
"""
PRIVILEGES = """
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', $2::text) FROM pg_database
WHERE datname = $1 AND datacl IS NOT NULL
UNION ALL
SELECT format('GRANT %s ON DATABASE %I TO %s', a.privilege_type, $2::text,
  CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
FROM pg_database d, aclexplode(d.datacl) AS a WHERE d.datname = $1 AND a.grantee <> d.datdba
"""


async def replace(settings: Settings, chosen: Chosen) -> tuple[str, str | None]:
    """Restore into a new database and put it in the place of the one in the settings.

    Returns the name of the database and that of the old one, which is kept; None if there was none. Raises as
    `restore_backup.restore`; then the database is as it was.
    """
    refuse_pooler(settings)
    await chosen.prove()
    async with maintenance(settings) as server:
        name = database_name(settings)
        if not await server.fetchval("SELECT pg_try_advisory_lock($1, hashtext($2))", LOCK, name):
            raise BackupError(f"another restore replaces the database {name}")
        async with new_database(server, settings, "restored") as made:
            await fill(in_database(settings, made), chosen)
            return name, await _swap(server, name, made, chosen)


@asynccontextmanager
async def maintenance(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """Yield a connection to another database of the server. Raises `DatabaseUnavailableError`."""
    own, failed = database_name(settings), DatabaseUnavailableError("no database to connect to")
    async with AsyncExitStack() as opened:
        for name in MAINTENANCE:
            if name == own:
                continue
            try:
                connection = await opened.enter_async_context(connected(in_database(settings, name)))
            except DatabaseUnavailableError as error:
                failed = error
                continue
            yield connection
            return
    raise failed


@asynccontextmanager
async def new_database(server: asyncpg.Connection, settings: Settings, purpose: str) -> AsyncIterator[str]:
    """Make an empty database like the one of the settings, and yield its name. Drops it at the end, if it still has
    that name."""
    name = database_name(settings)
    made = f"{prefix_of(settings, purpose)}{secrets.token_hex(4)}"
    try:
        await server.execute(f"CREATE DATABASE {quoted(made)} TEMPLATE template0 {await _like(server, name)}")
    except asyncpg.InsufficientPrivilegeError:
        raise BackupError(
            "the role may not create databases: use a role with CREATEDB, or restore into an empty database that "
            "somebody else has created"
        ) from None
    try:
        yield made
    finally:
        await asyncio.shield(server.execute(f"DROP DATABASE IF EXISTS {quoted(made)} WITH (FORCE)"))


def database_name(settings: Settings) -> str:
    """Return the name of the database of the settings."""
    url = settings.database.url
    return settings.database.name if url is None else unquote(urlsplit(url.get_secret_value()).path[1:])


def prefix_of(settings: Settings, purpose: str) -> str:
    """Return how the names of databases begin that `new_database` makes for a purpose."""
    return f"{_stem(database_name(settings))}_{purpose}_"


def _stem(name: str) -> str:
    return name.encode()[:_LONGEST].decode(errors="ignore")


async def _like(server: asyncpg.Connection, name: str) -> str:
    """Return the options that give a new database the owner and the locale of an existing one."""
    row = await server.fetchval("SELECT to_jsonb(d) FROM pg_database d WHERE datname = $1", name)
    if row is None:
        return "ENCODING 'UTF8'"
    given: dict[str, Any] = orjson.loads(row)
    owner = await server.fetchval("SELECT pg_get_userbyid($1::oid)", int(given["datdba"]))
    options = [
        f"OWNER {quoted(owner)}",
        "ENCODING 'UTF8'",
        f"LC_COLLATE {literal(given['datcollate'])}",
        f"LC_CTYPE {literal(given['datctype'])}",
    ]
    locale = given.get("datlocale") or given.get("daticulocale") or ""
    if given["datlocprovider"] == "i":
        options += ["LOCALE_PROVIDER icu", f"ICU_LOCALE {literal(locale)}"]
    elif given["datlocprovider"] == "b":
        options += ["LOCALE_PROVIDER builtin", f"BUILTIN_LOCALE {literal(locale)}"]
    return " ".join(options)


async def _swap(server: asyncpg.Connection, name: str, made: str, chosen: Chosen) -> str | None:
    """Rename the new database to the name of the old one, and the old one out of the way, in one transaction."""
    if not await server.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
        await server.execute(f"ALTER DATABASE {quoted(made)} RENAME TO {quoted(name)}")
        return None
    for query in (SETTINGS, PRIVILEGES):
        for row in await server.fetch(query, name, made):
            await server.execute(row[0])
    old = f"{_stem(name)}_before_{clock.now():%Y%m%dT%H%M%SZ}"
    chosen.progress.start(f"replacing {name}; the old database becomes {old}")
    kept = name
    await server.execute(f"ALTER DATABASE {quoted(name)} ALLOW_CONNECTIONS false")
    try:
        await _end_sessions(server, name)
        async with server.transaction():
            await server.execute(f"ALTER DATABASE {quoted(name)} RENAME TO {quoted(old)}")
            await server.execute(f"ALTER DATABASE {quoted(made)} RENAME TO {quoted(name)}")
        kept = old
    finally:
        await server.execute(f"ALTER DATABASE {quoted(kept)} ALLOW_CONNECTIONS true")
    return old


async def _end_sessions(server: asyncpg.Connection, name: str) -> None:
    deadline = clock.monotonic() + SWAP_SECONDS
    while clock.monotonic() < deadline:
        ended = await server.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
        )
        if not ended:
            return
        await asyncio.sleep(0.1)
    raise BackupError(f"sessions of the database {name} do not end: stop the service and try again")
