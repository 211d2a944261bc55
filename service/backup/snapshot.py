"""A consistent snapshot of a database, shared by `pg_dump` and the counts and checksums that a restore must match."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from service.backup.errors import BackupError
from service.backup.manifest import Table
from service.migrations.branches import BRANCHES
from service.models.sql_identifiers import quoted

LOCK_SECONDS = 30
_ATTEMPTS = 3

# Tables with data, outside the system's schemas, that no extension owns: pg_dump leaves those to the extension.
TABLES = """
SELECT n.nspname AS schema, c.relname AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2
"""
# Two 64-bit halves of the MD5 of each row's text, summed: any order gives the same result, in constant memory.
CHECKSUM = """
SELECT count(*) AS rows, coalesce(sum(('x' || left(h, 16))::bit(64)::bigint), 0)::text || ':' ||
  coalesce(sum(('x' || right(h, 16))::bit(64)::bigint), 0)::text AS checksum
FROM (SELECT md5((slipway_row.*)::text) AS h FROM ONLY {table} AS slipway_row) AS hashed
"""
HIDDEN = "SELECT name FROM unnest($1::text[]) AS name WHERE row_security_active(name)"
# Roles that privileges of objects in the database name. PUBLIC (0) is no role.
ROLES = """
WITH own AS (
  SELECT oid FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
), acls AS (
  SELECT relacl AS acl FROM pg_class WHERE relnamespace IN (SELECT oid FROM own)
  UNION ALL SELECT a.attacl FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace IN (SELECT oid FROM own)
  UNION ALL SELECT proacl FROM pg_proc WHERE pronamespace IN (SELECT oid FROM own)
  UNION ALL SELECT typacl FROM pg_type WHERE typnamespace IN (SELECT oid FROM own)
  UNION ALL SELECT nspacl FROM pg_namespace WHERE oid IN (SELECT oid FROM own)
  UNION ALL SELECT defaclacl FROM pg_default_acl
)
SELECT r.rolname FROM acls, aclexplode(acl) AS a JOIN pg_roles r ON r.oid IN (a.grantee, a.grantor)
UNION SELECT pg_get_userbyid(defaclrole) FROM pg_default_acl
ORDER BY 1
"""

Name = tuple[str, str]


@asynccontextmanager
async def snapshot(connection: asyncpg.Connection) -> AsyncIterator[tuple[str, Sequence[Name]]]:
    """Yield the id of an exported snapshot and the tables in it. Both hold while the block runs.

    Every table is locked (ACCESS SHARE, as readers do) before the snapshot is taken: a table that was rewritten in
    between would look empty to it (PostgreSQL, section 13.6). Raises `BackupError`.
    """
    for _ in range(_ATTEMPTS):
        tables = await tables_of(connection)
        transaction = connection.transaction(isolation="repeatable_read", readonly=True)
        await transaction.start()
        try:
            await _lock(connection, tables)
            identifier = await connection.fetchval("SELECT pg_export_snapshot()")
            if tables == await tables_of(connection):
                yield identifier, tables
                return
        finally:
            if not connection.is_closed():
                await transaction.rollback()
    raise BackupError("tables are being created or dropped: try again when the migration has ended")


async def checksum(connection: asyncpg.Connection, table: Name) -> Table:
    """Return the row count and checksum of a table."""
    schema, name = table
    row = await connection.fetchrow(CHECKSUM.format(table=_name(table)))
    return Table(name=f"{schema}.{name}", rows=row["rows"], checksum=row["checksum"])


async def tables_of(connection: asyncpg.Connection) -> list[Name]:
    """Return the tables of a database as (schema, name)."""
    return [(row["schema"], row["name"]) for row in await connection.fetch(TABLES)]


async def roles_of(connection: asyncpg.Connection) -> list[str]:
    """Return the roles that privileges in the database name."""
    return [str(row[0]) for row in await connection.fetch(ROLES)]


async def revisions_of(connection: asyncpg.Connection, tables: Sequence[Name]) -> dict[str, str | None]:
    """Return the revision of each branch of migrations, by the branch's name."""
    found: dict[str, str | None] = {}
    for branch in BRANCHES:
        schemas = [schema for schema, name in tables if name == branch.table]
        found[branch.name] = None
        if schemas:
            revision = f"SELECT version_num FROM {_name((schemas[0], branch.table))}"  # noqa: S608
            found[branch.name] = await connection.fetchval(revision)
    return found


async def _lock(connection: asyncpg.Connection, tables: Sequence[Name]) -> None:
    if not tables:
        return
    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
    try:
        await connection.execute(
            f"LOCK TABLE {', '.join(f'ONLY {_name(table)}' for table in tables)} IN ACCESS SHARE MODE"
        )
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        raise BackupError("a table is locked, probably by a migration: try again when it has ended") from None
    except asyncpg.UndefinedTableError as error:
        raise BackupError(f"a table was dropped while the backup began ({error}): try again") from None
    except asyncpg.InsufficientPrivilegeError as error:
        raise BackupError(
            f"the role may not read everything ({error}): back up as the owner of the tables, or as a role with "
            "pg_read_all_data"
        ) from None
    if hidden := await connection.fetch(HIDDEN, [_name(table) for table in tables]):
        names = ", ".join(str(row[0]) for row in hidden)
        raise BackupError(
            f"row-level security hides rows of {names} from this role: back up as the owner of the tables"
        )


def _name(table: Name) -> str:
    return ".".join(map(quoted, table))
