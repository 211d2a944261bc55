"""Operations for migrations of resources: row history, merge patches, foreign keys that respect soft deletes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from alembic import op
from sqlalchemy import TextClause, text

from service.models.indexes import NOT_DELETED, SEARCH_TEXT, search_vector
from service.models.sql_identifiers import literal, quoted, shortened

TOUCH = """
CREATE FUNCTION slipway_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- A statement that minds versions itself never gets here: the trigger's WHEN clause sees to it.
  NEW.version := OLD.version + 1;
  NEW.updated_at := clock_timestamp();
  NEW.updated_by := coalesce(nullif(current_setting('slipway.principal', true), ''), 'database:' || session_user);
  RETURN NEW;
END $$
"""

HISTORY = """
CREATE FUNCTION slipway_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    INSERT INTO row_history (table_name, row_id, version, action, actor, request_id, at, row)
    VALUES (TG_TABLE_NAME, OLD.id, OLD.version + 1, 'erase',
            coalesce(nullif(current_setting('slipway.principal', true), ''), 'database:' || session_user),
            nullif(current_setting('slipway.request_id', true), ''), clock_timestamp(), to_jsonb(OLD));
  ELSE
    INSERT INTO row_history (table_name, row_id, version, action, actor, request_id, at, row)
    VALUES (TG_TABLE_NAME, NEW.id, NEW.version,
            CASE WHEN TG_OP = 'INSERT' THEN 'create'
                 WHEN NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NULL THEN 'delete'
                 WHEN NEW.deleted_at IS NULL AND OLD.deleted_at IS NOT NULL THEN 'restore'
                 ELSE 'update' END,
            NEW.updated_by, nullif(current_setting('slipway.request_id', true), ''), NEW.updated_at,
            to_jsonb(NEW));
  END IF;
  RETURN NULL;
END $$
"""

# PostgreSQL's wording for foreign keys, which tells the two sides of a self-reference apart.
STILL_REFERENCED = "The row is still referenced."
HISTORY_FUNCTION = "slipway_history()"
CONCURRENT_WAIT = "10min"

MERGE_PATCH = """
CREATE FUNCTION slipway_merge_patch(target jsonb, patch jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  -- RFC 7396, section 2, as its pseudo code has it.
  IF jsonb_typeof(patch) IS DISTINCT FROM 'object' THEN
    RETURN patch;
  END IF;
  IF jsonb_typeof(target) IS DISTINCT FROM 'object' THEN
    target := '{}';
  END IF;
  RETURN coalesce((
    SELECT jsonb_object_agg(key, value) FROM (
      SELECT t.key, t.value FROM jsonb_each(target) t WHERE NOT patch ? t.key
      UNION ALL
      SELECT p.key, slipway_merge_patch(target -> p.key, p.value)
      FROM jsonb_each(patch) p WHERE jsonb_typeof(p.value) <> 'null'
    ) merged), '{}');
END $$
"""

# Punctuation that PostgreSQL treats as letters in the C locale.
_MARKS = "«»¡¿·、。「」『』" + "".join(map(chr, (*range(0x2010, 0x2028), *range(0x2030, 0x205F))))
# `translate` compares each character with each mark, at 80 times the cost of a regular expression. That takes no text
# of a nondeterministic collation: hence "C".
SEARCH = f"""
CREATE OR REPLACE FUNCTION {SEARCH_TEXT}(given text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN regexp_replace(normalize(given, NFKC) COLLATE "C", '[{_MARKS}]', ' ', 'g')
"""


def install_functions() -> None:
    """Create the functions that the engine and the triggers call."""
    for source in (TOUCH, HISTORY, MERGE_PATCH):
        op.execute(source)


def remove_functions() -> None:
    """Undo `install_functions`."""
    for signature in ("slipway_merge_patch(jsonb, jsonb)", "slipway_history()", "slipway_touch()"):
        op.execute(f"DROP FUNCTION {signature}")


def guard_history() -> None:
    """Write row history with the privileges of the tables' owner, and only from the triggers.

    A role that may change rows then needs no write access to the history and cannot forge it: without EXECUTE, it
    cannot attach the function to a table of its own. The search_path keeps a table in pg_temp from shadowing the
    history.
    """
    _run_as_owner(HISTORY_FUNCTION)


def _run_as_owner(function: str) -> None:
    """Let a trigger function run with the privileges of its owner, and only from the triggers that have it."""
    op.execute(f"""
DO $$ BEGIN
  EXECUTE format(
    'ALTER FUNCTION %s SECURITY DEFINER SET search_path = %I, pg_temp', {literal(function)}, current_schema());
END $$""")
    op.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")


def unguard_history() -> None:
    """Undo `guard_history`."""
    op.execute(f"GRANT EXECUTE ON FUNCTION {HISTORY_FUNCTION} TO PUBLIC")
    op.execute(f"ALTER FUNCTION {HISTORY_FUNCTION} SECURITY INVOKER RESET search_path")


def track_history(table: str) -> None:
    """Record the full row in `row_history` for each change of `table` from now on."""
    touch, history = (quoted(shortened(f"{table}_{what}")) for what in ("touch", "history"))
    op.execute(
        f"CREATE TRIGGER {touch} BEFORE UPDATE ON {quoted(table)} "
        "FOR EACH ROW WHEN (NEW.version = OLD.version) EXECUTE FUNCTION slipway_touch()"
    )
    op.execute(
        f"CREATE TRIGGER {history} AFTER INSERT OR UPDATE OR DELETE ON {quoted(table)} "
        "FOR EACH ROW EXECUTE FUNCTION slipway_history()"
    )


def guard_reference(table: str, column: str, target: str) -> None:
    """Ensure that `column` of a row that is not deleted refers to a row of `target` that is not deleted either.

    A foreign key alone ignores soft deletes. Both sides raise a foreign key violation: referring to a deleted row, and
    deleting a row that is referred to. Locks serialize the two: FOR KEY SHARE here waits for FOR UPDATE there. Where
    rows have owners, the second finds those of others too, with the privileges of the tables' owner.
    """
    alive, unused = _guards(table, column)
    key, here, there = quoted(column), quoted(table), quoted(target)
    violation = (
        f"USING ERRCODE = 'foreign_key_violation', CONSTRAINT = {literal(shortened(f'fk_{table}_{column}'))}, "
        f"TABLE = {literal(table)}"
    )
    op.execute(f"""
CREATE FUNCTION {alive}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM {there} AS _row WHERE _row.id = NEW.{key} AND _row.deleted_at IS NULL FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION {literal(f"{column} refers to no {target}")} {violation};
  END IF;
  RETURN NEW;
END $$""")
    op.execute(f"""
CREATE FUNCTION {unused}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM {there} AS _row WHERE _row.id = OLD.id FOR UPDATE;
  IF EXISTS (SELECT 1 FROM {here} AS _row WHERE _row.{key} = OLD.id AND _row.deleted_at IS NULL) THEN
    RAISE EXCEPTION {literal(f"a {table} refers to this {target}")} {violation}, DETAIL = '{STILL_REFERENCED}';
  END IF;
  RETURN NEW;
END $$""")
    _run_as_owner(f"{unused}()")
    op.execute(
        f"CREATE TRIGGER {alive} BEFORE INSERT OR UPDATE OF {key}, deleted_at ON {here} FOR EACH ROW "
        f"WHEN (NEW.{key} IS NOT NULL AND NEW.deleted_at IS NULL) EXECUTE FUNCTION {alive}()"
    )
    op.execute(
        f"CREATE TRIGGER {unused} BEFORE UPDATE OF deleted_at ON {there} FOR EACH ROW "
        f"WHEN (NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NULL) EXECUTE FUNCTION {unused}()"
    )


def unguard_reference(table: str, column: str, target: str) -> None:
    """Undo `guard_reference`."""
    alive, unused = _guards(table, column)
    op.execute(f"DROP TRIGGER {unused} ON {quoted(target)}")
    op.execute(f"DROP TRIGGER {alive} ON {quoted(table)}")
    op.execute(f"DROP FUNCTION {unused}()")
    op.execute(f"DROP FUNCTION {alive}()")


def _guards(table: str, column: str) -> tuple[str, str]:
    """Return the names of the two functions and their triggers, quoted if necessary."""
    alive, unused = (quoted(shortened(f"{table}_{column}_{what}")) for what in ("alive", "unused"))
    return alive, unused


def create_index_concurrently(
    name: str, table: str, columns: Sequence[str | TextClause], **more: Any
) -> None:
    """Create an index on a table in use without blocking writes. Takes the arguments of `op.create_index`.

    PostgreSQL builds it outside of transactions, so earlier steps of the revision are already committed: make it the
    revision's only step. A failed build leaves an invalid index, which the next attempt drops. The build waits for all
    older transactions; nothing queues behind it, so it may wait for long.
    """
    with _without_transaction():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, columns, postgresql_concurrently=True, **more)


def drop_index_concurrently(name: str, table: str) -> None:
    """Drop an index of a table in use without blocking writes."""
    with _without_transaction():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)


@contextmanager
def _without_transaction() -> Iterator[None]:
    """Run the block outside of transactions, with a long lock timeout, since these waits block no other session."""
    with op.get_context().autocommit_block():
        op.execute("SELECT set_config('slipway.lock_timeout', current_setting('lock_timeout'), false)")
        op.execute(f"SET lock_timeout = '{CONCURRENT_WAIT}'")
        yield
        op.execute("SELECT set_config('lock_timeout', current_setting('slipway.lock_timeout'), false)")


def install_search_text() -> None:
    """Create the function that search indexes apply to their texts."""
    op.execute(SEARCH)


def remove_search_text() -> None:
    """Undo `install_search_text`."""
    op.execute(f"DROP FUNCTION {SEARCH_TEXT}(text)")


def renew_search(table: str, *columns: str) -> None:
    """Rebuild the search index and its statistics on a table in use, after their expression has changed.

    Safe to run again after a failure: steps already committed are repeated.
    """
    name, new = shortened(f"ix_{table}_search"), shortened(f"ix_{table}_search_new")
    vector = text(f"({search_vector(*columns)})")
    create_index_concurrently(new, table, [vector], postgresql_using="gin", postgresql_where=NOT_DELETED)
    drop_index_concurrently(name, table)
    op.execute(f"ALTER INDEX {quoted(new)} RENAME TO {quoted(name)}")
    op.execute(f"DROP STATISTICS IF EXISTS {_statistics(table)}")
    create_search_statistics(table, *columns)


def create_search_statistics(table: str, *columns: str) -> None:
    """Give the planner statistics on how frequent each word is. Use it with `search_index` on the same columns.

    The planner does not get them from the index. Without them, it estimates that each word is in 0.5 % of the rows,
    and searches for rare words by scanning the whole table in sort order.
    """
    op.execute(f"CREATE STATISTICS {_statistics(table)} ON ({search_vector(*columns)}) FROM {quoted(table)}")


def forget_search(table: str) -> None:
    """Undo `create_search_statistics`."""
    op.execute(f"DROP STATISTICS {_statistics(table)}")


def _statistics(table: str) -> str:
    return quoted(shortened(f"st_{table}_search"))
