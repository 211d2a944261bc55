"""The PostgreSQL and Redis that all programs share, with the table, its rows and an API key."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from benchmarks.machine import processors
from benchmarks.postgres import SystemPostgres, system_binaries
from service.dev.postgres_server import PostgresServer
from service.dev.redis_server import RedisServer
from tests.process.served import command_environment
from tests.shop.door import PROGRAM

ITEMS = 10_000  # that one program reads and updates; far more than there are connections
_SHELF = "018f0000-0000-7000-8000-000000000001"
_SHELVES = f"""
INSERT INTO tests_shelf (id, slug, name, description, created_by, updated_by)
VALUES ('{_SHELF}', 'bench', 'Bench', '', 'bench', 'bench')
"""
_INDEXES = """
SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
WHERE indrelid = 'tests_article'::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
# Every twentieth row has the status `discontinued`: a filter by a rare value, with a full page of 1000 rows.
_ROWS = f"""
SET session_replication_role = replica;
INSERT INTO tests_article
  (id, sku, name, price, stock, description, status, tags, attributes, shelf_id, created_by, updated_by)
SELECT ('018f0000-0000-7000-8001-' || lpad(to_hex(n), 12, '0'))::uuid, 'ROW-' || n, 'Brass desk lamp ' || n,
  (n::bigint * 7919 % 10000) / 100.0, n % 100, 'A lamp of brass for desks, with a switch in its cord.',
  CASE WHEN n % 20 = 0 THEN 'discontinued' WHEN n % 2 = 0 THEN 'active' ELSE 'draft' END,
  ARRAY['brass', 'indoor'], '{{"watt": 7}}', '{_SHELF}', 'bench', 'bench'
FROM generate_series($FIRST, $LAST) n;
SET session_replication_role = origin;
SET maintenance_work_mem = '512MB';
$INDEXES;
VACUUM ANALYZE tests_article;
CHECKPOINT
"""


@dataclass(slots=True)
class Backends:
    """Where the servers are, and what a client needs to know of the data."""

    database: str
    redis: str
    key: str
    shelf: str = _SHELF
    rows: int = 0

    def sql(self, query: str) -> list[asyncpg.Record]:
        """Run one query, or several without rows, outside all measurements."""
        return asyncio.run(_sql(self.database, query))

    def grow(self, rows: int) -> None:
        """Add rows until the table has so many, without indexes meanwhile: it is faster to build them afterwards."""
        indexes = self.sql(_INDEXES)
        for index in indexes:
            self.sql(f"DROP INDEX {index['name']}")
        made = _ROWS.replace("$FIRST", str(self.rows + 1)).replace("$LAST", str(rows))
        self.sql(made.replace("$INDEXES", ";\n".join(index["definition"] for index in indexes)))
        self.rows = rows

    def write_items(self, path: Path, number: int) -> None:
        """Write the id and version of the items of a program, one a line. No two programs share an item."""
        rows = self.sql(
            "SELECT id, version FROM tests_article WHERE sku LIKE 'ROW-%' ORDER BY id "
            f"OFFSET {number * ITEMS} LIMIT {ITEMS}"
        )
        path.write_text("".join(f"{row['id']} {row['version']}\n" for row in rows))

    def statements(self) -> tuple[int, float] | None:
        """Return how many statements clients have sent so far and their milliseconds; None if the server does not
        have `pg_stat_statements`."""
        try:
            found = self.sql(
                "SELECT sum(calls)::bigint AS n, sum(total_exec_time)::float AS ms FROM pg_stat_statements "
                "WHERE toplevel"
            )
        except asyncpg.PostgresError:
            return None
        return int(found[0]["n"] or 0), float(found[0]["ms"] or 0)

    def version(self) -> str:
        return f"PostgreSQL {self.sql('SHOW server_version')[0][0]}"


@contextmanager
def backends(folder: Path) -> Iterator[Backends]:
    """Start servers with the schema: the system's PostgreSQL, or the embedded one, which cannot count statements."""
    with ExitStack() as stack:
        programs = system_binaries()
        postgres = (
            PostgresServer(folder / "postgres", durable=False, settings={"shared_buffers": "256MB"})
            if programs is None
            else SystemPostgres(folder / "postgres", programs)
        )
        redis = RedisServer(folder / "redis")
        ours = os.sched_getaffinity(0)
        os.sched_setaffinity(0, map(int, processors()[1].split(",")))  # which the servers inherit
        try:
            for server in (postgres, redis):
                stack.callback(server.stop)
                server.start()
        finally:
            os.sched_setaffinity(0, ours)
        _command(postgres.url, "migrate")
        scopes = ("--scope", "shop:read", "--scope", "shop:write")
        key = _command(postgres.url, "keys", "create", "--name", "bench", *scopes).strip()
        made = Backends(postgres.url, redis.url, key)
        made.sql(_SHELVES)
        yield made


def _command(database: str, *arguments: str) -> str:
    done = subprocess.run(
        [*PROGRAM, *arguments],
        env=command_environment(database__url=database),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"bench: {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout


async def _sql(url: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        if ";" not in query:
            rows: list[asyncpg.Record] = await connection.fetch(query)
            return rows
        for one in query.strip().split(";\n"):
            await connection.execute(one)
        return []
    finally:
        await connection.close()
