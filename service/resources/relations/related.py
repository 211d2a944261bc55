"""The SQL of an expansion: the other item as a member of the item that refers to it.

Scalar subqueries, which PostgreSQL evaluates for each row by the primary key: a join could change the order of a page,
or read the whole other table.
"""

from typing import Any

import sqlalchemy as sa

from service.resources.relations.expansions import Expansion
from service.resources.statements.columns import item_of, not_deleted


def related_item(source: sa.FromClause, expansion: Expansion) -> sa.ColumnElement[Any]:
    """Return the item that a row of `source` refers to, as JSON; NULL if there is none or it is deleted."""
    other = expansion.relation.target.table.alias("_other")
    item, body = item_of(other, expansion.fields)
    return _of(source, expansion, other, body, other.join(item, sa.true())).label(expansion.relation.name)


def related_version(source: sa.FromClause, expansion: Expansion) -> sa.ColumnElement[int]:
    """Return the version of that item."""
    other = expansion.relation.target.table.alias("_other")
    return _of(source, expansion, other, other.c.version, other)


def _of(
    source: sa.FromClause,
    expansion: Expansion,
    other: sa.FromClause,
    column: sa.ColumnElement[Any],
    rows: sa.FromClause,
) -> sa.ScalarSelect[Any]:
    refers = other.c.id == source.c[expansion.relation.column]
    return (
        sa.select(column)
        .select_from(rows)
        .where(refers, not_deleted(other))
        .correlate(source)
        .scalar_subquery()
    )
