"""The policies of row-level security that a database has: written by migrations, and expected by the service.

Without Alembic, which serving does not need.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import sqlalchemy as sa

from service.models.idempotency_record import IdempotencyRecord
from service.models.row_history import RowHistory
from service.models.sql_identifiers import quoted, shortened
from service.models.view import is_view

HISTORY, RECORDS = str(RowHistory.__tablename__), str(IdempotencyRecord.__tablename__)
EVERY_ROW = "slipway_every_row"
"""The policy that shows every row, for others to restrict."""
CALLER = "slipway_caller"
"""The policy that hides the stored responses of other callers."""


class Owning(NamedTuple):
    """The column that says whose a row is; if that is its parent's owner, the foreign key, and the parent's table."""

    column: sa.Column[Any]
    through: str | None = None


Expected = tuple[str, str, str]
"""What a database must have: its kind, its table's quoted name, its own name."""
REASONS = {
    "policy": "table {table} has no row-level security by {name}; call secure_rows in a migration",
    "bound": "row-level security of table {table} does not hold for the service's role, which owns the table or "
    "bypasses policies; log in as another role (SLIPWAY_DATABASE__APP_ROLE)",
    "invoker": "view {table} shows rows of all owners; create it WITH (security_invoker = true)",
    "free": "table {table} has row-level security; set SLIPWAY_DATABASE__ROW_SECURITY to prepare or require",
}


def owner_policy(owner: str) -> str:
    """Return the name of the policy that hides rows of other owners by the column `owner`."""
    return shortened(f"slipway_owner_{owner}")


def history_policy(table: str, owner: str) -> str:
    """Return the name of the policy that hides the history of rows of other owners."""
    return shortened(f"slipway_history_{table}_{owner}")


def expected_policies(owners: Iterable[sa.Column[Any]], mode: str) -> Iterator[Expected]:
    """Yield what the database must have for a value of `SLIPWAY_DATABASE__ROW_SECURITY`.

    `owners` are the columns that decide whose a row is: owners, or references to parents. With `require`, their tables,
    row history and stored responses have policies that hold for the service's role, and views read with its rights.
    With `disable`, no policy holds: the service would find nothing.
    """
    declared = [*owners]
    found = [(column.table.name, column.name) for column in declared if not is_view(column.table)]
    views = [column.table.name for column in declared if is_view(column.table)]
    if not found or mode == "prepare":
        return
    tables = [*dict.fromkeys(table for table, _ in found), HISTORY, RECORDS]
    if mode == "disable":
        yield from (("free", quoted(table), "") for table in tables)
        return
    yield from (("policy", quoted(table), owner_policy(owner)) for table, owner in found)
    yield from (("policy", HISTORY, history_policy(table, owner)) for table, owner in found)
    yield "policy", RECORDS, CALLER
    yield from (("bound", quoted(table), "") for table in tables)
    yield from (("invoker", quoted(view), "") for view in views)
