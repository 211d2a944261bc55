"""The SQL of relations: the other item as a member of the item that refers to it, and conditions on the other item.

Members are scalar subqueries, which PostgreSQL evaluates for each row by the primary key: a join could change the order
of a page, or read the whole other table.
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from service.resources.relations.expansions import Expansion
from service.resources.relations.relation import Relation
from service.resources.statements.columns import item_of, not_deleted
from service.resources.statements.ownership import seen_rows


def related_item(source: sa.FromClause, expansion: Expansion) -> sa.ColumnElement[Any]:
    """Return the item that a row of `source` refers to, as JSON; NULL if it refers to none, or to
    one that is deleted or not the caller's."""
    other = expansion.relation.target.table.alias("_other")
    item, body = item_of(other, expansion.fields)
    return _of(source, expansion, other, body, other.join(item, sa.true())).label(expansion.relation.name)


def related_version(source: sa.FromClause, expansion: Expansion) -> sa.ColumnElement[int]:
    """Return the version of that item."""
    other = expansion.relation.target.table.alias("_other")
    return _of(source, expansion, other, other.c.version, other)


def refers_to_match(
    relation: Relation,
    table: sa.Table,
    condition: Callable[[sa.FromClause], sa.ColumnElement[bool]],
    *,
    one: bool,
) -> sa.ColumnElement[bool]:
    """Return the condition for rows of `table` that refer to an item that meets the `condition`.

    With `one`, at most one item meets it. PostgreSQL then finds that item first, and uses an index of the foreign key
    and the sort as for any other value.
    """
    other = relation.target.table.alias("_other")
    ids = sa.select(other.c.id).where(
        condition(other), not_deleted(other), *seen_rows(relation.target, other)
    )
    key = table.c[relation.column]
    if not one:
        return key.in_(ids)
    found = ids.scalar_subquery()
    # Tested once, before the rows: without such an item, none is read.
    return sa.and_(found.isnot(None), key == found)


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
        .where(refers, not_deleted(other), *seen_rows(expansion.relation.target, other))
        .correlate(source)
        .scalar_subquery()
    )
