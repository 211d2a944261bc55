"""Sorting and keyset conditions. NULL counts as larger than every value, in both directions."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from service.http.problems import FieldError, InvalidParameter
from service.resources.columns.column_types import kind_of
from service.resources.declaration import MAX_SORT_FIELDS, RestResource
from service.resources.statements.fragment import Fragment, concatenate, either, every
from service.resources.statements.statement import compile_fragment


class SortKey(NamedTuple):
    """One field to sort by."""

    field: str
    descending: bool

    def reversed(self) -> "SortKey":
        return SortKey(self.field, not self.descending)


def parse_sort(resource: RestResource, parts: Sequence[str]) -> tuple[SortKey, ...]:
    """Return the keys of, for example, `-price` and `name`, with the id as tie-breaker. Raises `InvalidParameter`."""
    if len(parts) > MAX_SORT_FIELDS:
        raise _wrong(f"The value must name at most {MAX_SORT_FIELDS} fields.")
    keys: list[SortKey] = []
    for part in parts:
        field = part.removeprefix("-")
        if field not in resource.sortable:
            choices = ", ".join(resource.sortable)
            raise _wrong(f"`{field[:100]}` is not sortable; sortable fields are {choices}.")
        if any(key.field == field for key in keys):
            raise _wrong(f"`{field}` is listed twice.")
        keys.append(SortKey(field, part.startswith("-")))
    # The direction of the last field, so that one index serves the list in both directions.
    return (*keys, SortKey("id", keys[-1].descending))


def _wrong(message: str) -> InvalidParameter:
    return InvalidParameter(errors=[FieldError(message, parameter="sort")])


class Keyset:
    """The SQL for sorting and paging one table, from parts compiled once."""

    def __init__(self, table: sa.Table) -> None:
        self._table = table
        self._parts: dict[tuple[str, ...], Fragment] = {}

    def order_by(self, keys: Sequence[SortKey]) -> Fragment:
        """Return the order. Nulls are last ascending and first descending, as in plain indexes."""
        parts: list[Fragment | str] = []
        for key in keys:
            parts += [", " if parts else "", self._part(_order, key.field, descending=key.descending)]
        return concatenate(*parts)

    def after(self, keys: Sequence[SortKey], nulls: frozenset[str], *, filtered: bool) -> Fragment:
        """Return the condition for rows after the cursor's row, whose values are the parameters `k_<field>`.

        `nulls` names the fields that are NULL in the cursor's row; `filtered` means that a filter bounds the first
        field too. If all directions agree and no field is nullable, the condition is one row comparison, which an index
        can answer; otherwise it is one condition for each prefix of the keys, joined with OR.
        """
        first, *_ = keys
        nullable = {key.field for key in keys if self._table.c[key.field].nullable}
        start = self._part(_at_or_beyond, first.field, descending=first.descending)
        if len({key.descending for key in keys}) == 1 and not nullable:
            beyond = self._row_comparison(keys)
            # With a filter's bound and only a row comparison, an index scan may start at the filter's bound, far from
            # the cursor.
            return every((start, beyond)) if filtered else beyond
        prefixes = either(self._prefix(keys[: length + 1], nulls) for length in range(len(keys)))
        # The bound on the first field, repeated here, lets an index skip the rows before the cursor.
        return prefixes if first.field in nullable else every((start, prefixes))

    def _row_comparison(self, keys: Sequence[SortKey]) -> Fragment:
        here: list[Fragment | str] = []
        there: list[Fragment | str] = []
        for key in keys:
            here += [", " if here else "((", self._part(_column, key.field)]
            there += [", " if there else "(", self._part(_bound, key.field)]
        return concatenate(*here, ") < " if keys[0].descending else ") > ", *there, "))")

    def _prefix(self, keys: Sequence[SortKey], nulls: frozenset[str]) -> Fragment:
        *before, last = keys
        same = [self._part(_is_null if key.field in nulls else _same, key.field) for key in before]
        beyond = _beyond_null if last.field in nulls else _beyond
        return every((*same, self._part(beyond, last.field, descending=last.descending)))

    def _part(self, make: Callable[..., sa.ColumnElement[Any]], field: str, **way: bool) -> Fragment:
        key = (make.__name__, field, *(name for name, is_so in way.items() if is_so))
        if (part := self._parts.get(key)) is None:
            part = self._parts[key] = compile_fragment(make(self._table.c[field], **way))
        return part


def _order(column: sa.Column[Any], *, descending: bool) -> sa.ColumnElement[Any]:
    return column.desc() if descending else column.asc()


def _column(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    return column


def _bound(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    return kind_of(column.type).bound(f"k_{column.name}")


def _at_or_beyond(column: sa.Column[Any], *, descending: bool) -> sa.ColumnElement[bool]:
    return column <= _bound(column) if descending else column >= _bound(column)


def _is_null(column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    return column.is_(None)


def _same(column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    return column == _bound(column)


def _beyond_null(column: sa.Column[Any], *, descending: bool) -> sa.ColumnElement[bool]:
    return column.isnot(None) if descending else sa.false()


def _beyond(column: sa.Column[Any], *, descending: bool) -> sa.ColumnElement[bool]:
    beyond = column < _bound(column) if descending else column > _bound(column)
    return sa.or_(beyond, column.is_(None)) if column.nullable and not descending else beyond
