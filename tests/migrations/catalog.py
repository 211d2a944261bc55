"""Reads a schema from PostgreSQL's catalogue, in a form that can be compared."""

import asyncpg

COLUMNS = """
SELECT c.relname || '.' || a.attname,
       format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
         || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (c.oid, a.attnum)
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
"""
INDEXES = """
SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'public'::regnamespace
"""
CONSTRAINTS = """
SELECT conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0
"""
FUNCTIONS = """
SELECT p.oid::regprocedure::text,
       concat_ws(' ', prosecdef, proconfig, has_function_privilege('public', p.oid, 'EXECUTE'), prosrc)
FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.objid = p.oid AND e.deptype = 'e')
"""
TRIGGERS = """
SELECT tgrelid::regclass || '.' || tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
"""
TABLES = {"columns": COLUMNS, "indexes": INDEXES, "constraints": CONSTRAINTS}
EVERYTHING = {**TABLES, "functions": FUNCTIONS, "triggers": TRIGGERS}

ALEMBIC = "alembic_version"


async def schema(connection: asyncpg.Connection, queries: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return the result of each query as {name: definition}, without Alembic's table."""
    return {
        kind: {name: text for name, text in await connection.fetch(sql) if ALEMBIC not in name}
        for kind, sql in queries.items()
    }
