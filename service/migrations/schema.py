"""Whether this version can serve a database: its encoding, its revisions, and the declared tables."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import asyncpg
import sqlalchemy as sa
import structlog

from service.database import Database
from service.migrations import branches, policies, revisions
from service.migrations.branches import BRANCHES, CHASSIS, DOMAINS
from service.migrations.encoding import QUERY as ENCODING
from service.migrations.encoding import refusal
from service.models.api_key import ApiKey
from service.models.feature_flag import FeatureFlag
from service.models.idempotency_record import IdempotencyRecord
from service.models.row_history import RowHistory
from service.models.sql_identifiers import quoted
from service.models.view import is_view

log = structlog.get_logger(__name__)

_AT = "(SELECT array_agg(version_num::text) FROM {0.table}) AS {0.name}"
STATE = f"SELECT {_AT.format(CHASSIS)}, {_AT.format(DOMAINS)}, true AS recorded, {ENCODING} AS encoding"
# A database that was migrated before there were two branches has no version table of the domains.
OLD_STATE = f"SELECT {_AT.format(CHASSIS)}, NULL AS domains, false AS recorded, {ENCODING} AS encoding"
# One row for each missing object: tables, then columns, then triggers, then policies; and for each table whose policies
# do not hold for this role (`bound`), hold although nobody expects them (`free`), or are passed by a view (`invoker`).
# `to_regclass` resolves names as the engine's own statements do. Bits of tgtype (pg_trigger.h): 4 INSERT, 8 DELETE,
# 16 UPDATE.
MISSING = """
SELECT declared.kind, declared.table, declared.name
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS declared (kind, "table", name, position),
  LATERAL (SELECT to_regclass(declared.table)::oid AS oid) AS found
WHERE CASE declared.kind
  WHEN 'table' THEN found.oid IS NULL
  WHEN 'view' THEN found.oid IS NULL
  WHEN 'column' THEN found.oid IS NOT NULL AND NOT EXISTS (
    SELECT FROM pg_attribute a
    WHERE a.attrelid = found.oid AND a.attname = declared.name AND a.attnum > 0 AND NOT a.attisdropped)
  WHEN 'policy' THEN found.oid IS NOT NULL AND NOT EXISTS (
    SELECT FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
    WHERE p.polrelid = found.oid AND p.polname = declared.name AND NOT p.polpermissive AND c.relrowsecurity)
  WHEN 'bound' THEN (
    SELECT c.relrowsecurity AND NOT row_security_active(c.oid) FROM pg_class c WHERE c.oid = found.oid)
  WHEN 'invoker' THEN found.oid IS NOT NULL AND NOT EXISTS (
    SELECT FROM pg_class c, pg_options_to_table(c.reloptions) o
    WHERE c.oid = found.oid AND o.option_name = 'security_invoker' AND o.option_value::boolean)
  WHEN 'free' THEN found.oid IS NOT NULL AND row_security_active(found.oid)
  ELSE found.oid IS NOT NULL AND (
    SELECT coalesce(bit_or(t.tgtype), 0) & 28 <> 28
    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE t.tgrelid = found.oid AND p.proname = declared.name AND t.tgenabled IN ('O', 'A'))
  END
ORDER BY declared.position
"""
HISTORY = "slipway_history"
SHOWN = 3
_REASONS = {
    "table": "table {table} does not exist",
    "view": "view {table} does not exist",
    "column": "table {table} has no column {name}",
    "trigger": "table {table} has no row history trigger; call track_history in its migration",
    **policies.REASONS,
}
OWN = (ApiKey, FeatureFlag, IdempotencyRecord, RowHistory)


@dataclass(frozen=True, slots=True)
class State:
    """The state of a database. `unfit` says why this version cannot serve it; empty if it can.

    `at` names its revisions. `pending`: migrations are missing.
    """

    at: str = ""
    unfit: str = ""
    pending: bool = False


class Schema:
    """Checks the database for the probes, with one statement, or two while something is missing.

    The tables are compared at the start and after each failure, not at every probe. Raises `ScriptsError`.
    """

    def __init__(
        self, database: Database, tables: Sequence[sa.Table], more: Iterable[policies.Expected] = ()
    ) -> None:
        branches.scripts()  # refuse contradictory migrations before serving
        self._database = database
        own = [table for model in OWN if isinstance(table := model.__dict__["__table__"], sa.Table)]
        parts = (part for t in (*own, *tables) for part in _parts(t, tracked=t in tables))
        self._declared = list(zip(*parts, *more, strict=True))
        self._complete = False
        self._said = ""

    async def look(self) -> State:
        """Return the state of the database. Raises the errors of `Database.probe`."""
        complete, self._complete = self._complete, False
        state = await self._state()
        if not state.unfit and not complete and (missing := await self._missing()):
            state = State(state.at, missing)
        self._complete = not state.unfit
        if state.unfit not in ("", self._said):
            log.warning("cannot serve this database", reason=state.unfit)
        self._said = state.unfit
        return state

    async def _state(self) -> State:
        for query in (STATE, OLD_STATE):
            try:
                return _judged(**(await self._database.probe(query))[0])
            except asyncpg.UndefinedTableError:
                continue
            except asyncpg.InsufficientPrivilegeError as error:  # migrations have not granted anything yet
                return State(unfit=str(error), pending=True)
        return State(unfit="not migrated", pending=True)

    async def _missing(self) -> str:
        """Return what is missing, naming the first few objects; empty if nothing is missing."""
        rows = await self._database.probe(MISSING, *self._declared)
        shown = "; ".join(_described(**row) for row in rows[:SHOWN])
        more = f"; and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
        return shown + more


def _judged(chassis: list[str] | None, domains: list[str] | None, *, recorded: bool, encoding: str) -> State:
    """Return the state of a database with these revisions in its version tables."""
    marks = {CHASSIS: chassis or [], DOMAINS: domains or []}
    for branch in BRANCHES:
        if len(marks[branch]) > 1:
            several = ", ".join(sorted(marks[branch]))
            return State(several, f"at several revisions of the branch {branch.name}: {several}")
    at = revisions.found(*(next(iter(marks[branch]), None) for branch in BRANCHES), recorded=recorded)
    if refused := refusal(encoding):
        return State(str(at), refused)
    if behind := revisions.behind(at):
        needed = revisions.heads().of(*behind)
        return State(str(at), f"at revision {at.of(*behind)}, needs {needed}", pending=True)
    return State(str(at))


def _parts(table: sa.Table, *, tracked: bool) -> Iterator[policies.Expected]:
    """Yield the objects that the engine needs to serve the table."""
    name = quoted(table.name)
    yield "view" if is_view(table) else "table", name, ""
    yield from (("column", name, column.name) for column in table.columns)
    if tracked and not is_view(table):
        yield "trigger", name, HISTORY


def _described(kind: str, table: str, name: str) -> str:
    return _REASONS[kind].format(table=table, name=name)
