"""Whether this version can serve a database: its encoding, its revision, and the declared tables."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import asyncpg
import sqlalchemy as sa
import structlog

from service.database import Database
from service.migrations import encoding, revisions
from service.models.api_key import ApiKey
from service.models.history import RowHistory
from service.models.idempotency import IdempotencyRecord
from service.models.sql_identifiers import quoted

log = structlog.get_logger(__name__)

STATE = f"SELECT version_num, {encoding.QUERY} AS encoding FROM alembic_version"
# One row for each missing object: tables, then columns, then triggers. `to_regclass` resolves names as the
# engine's own statements do. Bits of tgtype (pg_trigger.h): 4 INSERT, 8 DELETE, 16 UPDATE.
MISSING = """
SELECT declared.kind, declared.table, declared.name
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS declared (kind, "table", name, position),
  LATERAL (SELECT to_regclass(declared.table)::oid AS oid) AS found
WHERE CASE declared.kind
  WHEN 'table' THEN found.oid IS NULL
  WHEN 'column' THEN found.oid IS NOT NULL AND NOT EXISTS (
    SELECT FROM pg_attribute a
    WHERE a.attrelid = found.oid AND a.attname = declared.name AND a.attnum > 0 AND NOT a.attisdropped)
  ELSE found.oid IS NOT NULL AND (
    SELECT coalesce(bit_or(t.tgtype), 0) & 28 <> 28
    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE t.tgrelid = found.oid AND p.proname = declared.name AND t.tgenabled IN ('O', 'A'))
  END
ORDER BY declared.position
"""
HISTORY = "slipway_history"
SHOWN = 3
OWN = (ApiKey, IdempotencyRecord, RowHistory)


@dataclass(frozen=True, slots=True)
class State:
    """The state of a database. `unfit` says why this version cannot serve it; empty if it can.

    `pending`: migrations are missing.
    """

    revision: str | None
    unfit: str = ""
    pending: bool = False


class Schema:
    """Checks the database for the probes: one statement, and one more while something is missing.

    The tables are compared at the start and after each failure, not at every probe. Raises `ScriptsError`.
    """

    def __init__(self, database: Database, tables: Sequence[sa.Table]) -> None:
        revisions.revisions()  # refuse contradictory migrations before serving
        self._database = database
        own = [table for model in OWN if isinstance(table := model.__dict__["__table__"], sa.Table)]
        self._declared = list(
            zip(*(row for t in (*own, *tables) for row in _parts(t, tracked=t in tables)), strict=True)
        )
        self._complete = False
        self._said = ""

    async def look(self) -> State:
        """Return the state of the database. Raises the errors of `Database.probe`."""
        complete, self._complete = self._complete, False
        state = await self._state()
        if not state.unfit and not complete and (missing := await self._missing()):
            state = State(state.revision, missing)
        self._complete = not state.unfit
        if state.unfit not in ("", self._said):
            log.warning("the database cannot be served", reason=state.unfit)
        self._said = state.unfit
        return state

    async def _state(self) -> State:
        try:
            rows = await self._database.probe(STATE)
        except asyncpg.UndefinedTableError:
            return State(None, "not migrated", pending=True)
        except asyncpg.InsufficientPrivilegeError as error:  # the first migration has not run its grants yet
            return State(None, str(error), pending=True)
        return _judged([row["version_num"] for row in rows], rows[0]["encoding"] if rows else encoding.NEEDED)

    async def _missing(self) -> str:
        """Return what is missing, naming the first few objects; empty if nothing is missing."""
        rows = await self._database.probe(MISSING, *self._declared)
        shown = "; ".join(_told(**row) for row in rows[:SHOWN])
        more = f"; and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
        return shown + more


def _judged(at: Sequence[str], encoded: str) -> State:
    """Return the state of a database marked with these revisions."""
    if not at:
        return State(None, f"at no revision, needs {revisions.head()}", pending=True)
    current = ", ".join(sorted(at))
    if refused := encoding.refusal(encoded):
        return State(current, refused)
    if len(at) > 1:
        return State(current, f"at several revisions: {current}")
    if not revisions.compatible(current):
        return State(current, f"at revision {current}, needs {revisions.head()}", pending=True)
    return State(current)


def _parts(table: sa.Table, *, tracked: bool) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, table, name) of the objects that the engine needs to serve the table."""
    name = quoted(table.name)
    yield "table", name, ""
    yield from (("column", name, column.name) for column in table.columns)
    if tracked:
        yield "trigger", name, HISTORY


def _told(kind: str, table: str, name: str) -> str:
    if kind == "table":
        return f"there is no table {table}"
    if kind == "column":
        return f"table {table} has no column {name}"
    return f"table {table} has no trigger for row history; its migration calls track_history"
