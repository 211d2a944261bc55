"""Sorting and keyset conditions. NULL counts as larger than every value, in both directions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from service.http.problems import FieldError, InvalidParameter
from service.resources.columns.catalogue import kind_of
from service.resources.declaration import MAX_SORT_FIELDS, RestResource


@dataclass(frozen=True, slots=True)
class SortKey:
    """One field to sort by."""

    field: str
    descending: bool

    def reversed(self) -> "SortKey":
        return SortKey(self.field, not self.descending)


def read_sort(resource: RestResource, parts: Sequence[str]) -> tuple[SortKey, ...]:
    """The keys of `-price` and `name`, the id added as tie-break. Raises `InvalidParameter`."""
    if len(parts) > MAX_SORT_FIELDS:
        raise _wrong(f"At most {MAX_SORT_FIELDS} fields.")
    keys: list[SortKey] = []
    for part in parts:
        field = part.removeprefix("-")
        if field not in resource.sortable:
            choices = ", ".join(resource.sortable)
            raise _wrong(f"`{field[:100]}` is none of the fields to sort by: {choices}.")
        if any(key.field == field for key in keys):
            raise _wrong(f"`{field}` is named twice.")
        keys.append(SortKey(field, part.startswith("-")))
    # The last direction, so that one index serves the list forwards and backwards.
    return (*keys, SortKey("id", keys[-1].descending))


def _wrong(message: str) -> InvalidParameter:
    return InvalidParameter(errors=[FieldError(message, parameter="sort")])


def order_by(table: sa.Table, keys: Sequence[SortKey]) -> list[sa.ColumnElement[Any]]:
    """PostgreSQL's own defaults, NULLS LAST ascending and NULLS FIRST descending, so plain indexes fit."""
    return [table.c[key.field].desc() if key.descending else table.c[key.field].asc() for key in keys]


def after(
    table: sa.Table, keys: Sequence[SortKey], nulls: frozenset[str], *, filtered: bool
) -> sa.ColumnElement[bool]:
    """The rows that come after the cursor's row, whose values are the parameters `k_<field>`.

    `nulls` names the fields that are NULL in the cursor's row, `filtered` says that a filter bounds the first field
    too. Where all directions agree and nothing can be NULL this is one row comparison, which an index answers;
    otherwise a ladder of conditions, one for each prefix.
    """
    columns = [table.c[key.field] for key in keys]
    directions = {key.descending for key in keys}
    if len(directions) == 1 and not any(column.nullable for column in columns):
        here, there = sa.tuple_(*columns), sa.tuple_(*(_bound(column) for column in columns))
        beyond = here < there if directions.pop() else here > there
        # Of a filter's bound and a row comparison, an index scan may begin at the filter's, however far that is.
        return sa.and_(_at_or_beyond(columns[0], keys[0]), beyond) if filtered else beyond
    rungs = [
        sa.and_(*(_same(c, nulls) for c in columns[:i]), _beyond(column, keys[i], nulls))
        for i, column in enumerate(columns)
    ]
    if columns[0].nullable:
        return sa.or_(*rungs)
    # The first field's own bound, once more for all, is what lets an index skip what lies before the cursor.
    return sa.and_(_at_or_beyond(columns[0], keys[0]), sa.or_(*rungs))


def _at_or_beyond(column: sa.Column[Any], key: SortKey) -> sa.ColumnElement[bool]:
    return column <= _bound(column) if key.descending else column >= _bound(column)


def _bound(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    return kind_of(column.type).bound(f"k_{column.name}")


def _same(column: sa.Column[Any], nulls: frozenset[str]) -> sa.ColumnElement[bool]:
    return column.is_(None) if column.name in nulls else column == _bound(column)


def _beyond(column: sa.Column[Any], key: SortKey, nulls: frozenset[str]) -> sa.ColumnElement[bool]:
    if column.name in nulls:
        return column.isnot(None) if key.descending else sa.false()
    beyond = column < _bound(column) if key.descending else column > _bound(column)
    return sa.or_(beyond, column.is_(None)) if column.nullable and not key.descending else beyond
