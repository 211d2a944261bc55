"""Problems for errors of PostgreSQL, by SQLSTATE and the name of the constraint."""

import re
from collections.abc import Mapping

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from service.http import problems
from service.http.problems import FieldError, Problem, pointer
from service.models.indexes import columns_in

STALE = asyncpg.InvalidCachedStatementError
"""A column changed its type under a prepared statement. asyncpg has dropped it; a retry prepares it again."""
UNDONE = (asyncpg.TransactionRollbackError, STALE)
"""Errors that roll back a transaction through no fault of its own; it may be retried."""

_PREPARER = postgresql.dialect().identifier_preparer  # type: ignore[no-untyped-call]


def columns_of_constraints(table: sa.Table) -> Mapping[str, tuple[str, ...]]:
    """Return the columns of each unique index, foreign key and check of a table, by name."""
    found: dict[str, tuple[str, ...]] = {}
    for index in table.indexes:
        found[str(index.name)] = columns_in(index)
    for constraint in table.constraints:
        if isinstance(constraint, sa.CheckConstraint):
            words = set(re.findall(r"\w+", str(constraint.sqltext)))
            found[_name(constraint)] = tuple(c.name for c in table.columns if c.name in words)
        elif isinstance(constraint, sa.schema.ColumnCollectionConstraint):
            found[_name(constraint)] = columns_in(constraint)
    return found


def _name(constraint: sa.Constraint) -> str:
    # Only the preparer applies the naming convention; the bare name may be no more than a part of it.
    return str(_PREPARER.format_constraint(constraint, _alembic_quote=False))


def problem_of(error: asyncpg.PostgresError, columns: Mapping[str, tuple[str, ...]]) -> Problem | None:
    """Return the problem to respond with; None if the error is a bug in the service."""
    fields = columns.get(getattr(error, "constraint_name", None) or "", ())
    return _of_constraint(error, fields) or _of_value(error, columns) or _of_statement(error)


def _of_constraint(error: asyncpg.PostgresError, fields: tuple[str, ...]) -> Problem | None:
    """Class 23: integrity constraint violations, within one item or between items."""
    match error:
        case asyncpg.ForeignKeyViolationError() if fields and "still referenced" not in (error.detail or ""):
            return problems.ValidationFailed(errors=_errors(fields, "refers to an item that does not exist"))
        case asyncpg.CheckViolationError():
            return problems.ValidationFailed(errors=_errors(fields, "violates a constraint"))
        case asyncpg.NotNullViolationError():
            return problems.ValidationFailed(errors=_errors((error.column_name or "",), "must have a value"))
        case asyncpg.IntegrityConstraintViolationError():
            return _between_items(error, fields)
    return None


def _between_items(error: asyncpg.IntegrityConstraintViolationError, fields: tuple[str, ...]) -> Problem:
    match error:
        case asyncpg.UniqueViolationError():
            return _taken(error, fields)
        case asyncpg.ForeignKeyViolationError():
            return problems.Conflict("Other items refer to this one.")
        case asyncpg.ExclusionViolationError():
            return problems.Conflict(errors=_errors(fields, "overlaps with another item"))
    return problems.Conflict("The change violates a constraint between items.")


def _taken(error: asyncpg.UniqueViolationError, fields: tuple[str, ...]) -> Problem:
    if error.constraint_name == "pk_row_history":
        return problems.Conflict("An item with this id was erased, and its history is kept. Use another id.")
    return problems.Duplicate(errors=_errors(fields, "is already used by another item"))


def _of_value(error: asyncpg.PostgresError, columns: Mapping[str, tuple[str, ...]]) -> Problem | None:
    """The SQLSTATE classes that a client's value can cause: 22 (data exception) and 54 (program limit exceeded)."""
    match error:
        case asyncpg.ProgramLimitExceededError():
            # Only the message names the index.
            named = (columns[name] for name in re.findall(r'"([^"]+)"', str(error)) if name in columns)
            fields = next(named, ())
            return problems.ValidationFailed(
                None if fields else "A value is too long to be stored.", errors=_errors(fields, "is too long")
            )
        case asyncpg.DataError():
            return problems.ValidationFailed("A value does not fit its column.")
    return None


def _of_statement(error: asyncpg.PostgresError) -> Problem | None:
    match error:
        case asyncpg.QueryCanceledError():
            return problems.Overtime()
        case asyncpg.LockNotAvailableError() | asyncpg.TransactionRollbackError() | STALE():
            busy = problems.Busy()
            busy.waited_for_twin = "while inserting index tuple" in (error.context or "")
            return busy
    return None


def _errors(fields: tuple[str, ...], message: str) -> list[FieldError]:
    return [FieldError(message, pointer=pointer((field,))) for field in fields]
