"""Inserts many realistic articles, bypassing the API."""

import asyncpg

from service.database import Database

# Random where a shop is: a thousand words, prices with many equals, few shelves, seldom a tag. Only
# the ten oldest articles are discontinued.
_INSERT = """
INSERT INTO tests_article (id, created_at, updated_at, created_by, updated_by, sku, name, description, price, stock,
                     status, tags, attributes, shelf_id)
SELECT gen_random_uuid(), at, at, 'test', 'test',
       'ROW-' || lpad(n::text, 8, '0'),
       'Item ' || hashint4(n) % 5000 || ' word' || n % 1000,
       CASE WHEN n % 3 = 0 THEN 'a brass lamp' ELSE 'a chair' END || ' rare' || n % 20000,
       (n * 7919::bigint % 100000) / 100.0, n * 31 % 1000,
       CASE WHEN n <= 10 THEN 'discontinued' WHEN n % 5 < 3 THEN 'active' ELSE 'draft' END,
       ARRAY['tag' || n % 2000, 'common'], jsonb_build_object('padding', repeat('x', $3::int)),
       ($2::uuid[])[1 + n % cardinality($2::uuid[])]
FROM (SELECT n, timestamptz '2026-01-01' + n * interval '1 second' AS at FROM generate_series(1, $1::int) n) rows
RETURNING id
"""

_SHELVES = """
INSERT INTO tests_shelf (id, slug, name, description, created_by, updated_by)
SELECT gen_random_uuid(), 'c' || n, 'Shelf ' || n, '', 'test', 'test' FROM generate_series(1, $1::int) n
RETURNING id
"""


async def insert_articles(database: Database, count: int, *shelves: str) -> list[str]:
    """Insert rows across the shelves with triggers off, so without history, and return their ids."""
    async with database.transaction() as connection:
        await _without_triggers(connection)
        rows = await connection.fetch(_INSERT, count, list(shelves), 0)
    async with database.connection() as connection:
        await connection.execute("ANALYZE tests_article")
    return [str(row["id"]) for row in rows]


async def load_articles(database: Database, count: int, *, shelves: int, padding: int = 0) -> None:
    """Insert articles in new shelves as fast as possible: indexes are created after the rows.

    Their attributes, which no index reads, are `padding` characters long.
    """
    async with database.transaction() as connection:
        await _without_triggers(connection)
        await connection.execute("SET LOCAL maintenance_work_mem = '256MB'")
        indexes = await connection.fetch(
            "SELECT indexname, indexdef FROM pg_indexes "
            "WHERE tablename = 'tests_article' AND indexname <> 'pk_tests_article'"
        )
        for name, _ in indexes:
            await connection.execute(f"DROP INDEX {name}")
        made = await connection.fetch(_SHELVES, shelves)
        insert, ids = _INSERT.replace("RETURNING id", ""), [row["id"] for row in made]
        await connection.execute(insert, count, ids, padding)
        for _, definition in indexes:
            await connection.execute(definition)
    async with database.connection() as connection:
        await connection.execute("VACUUM ANALYZE tests_article")


async def _without_triggers(connection: asyncpg.Connection) -> None:
    await connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL session_replication_role = replica")
