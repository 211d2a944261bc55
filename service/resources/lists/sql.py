"""The SQL of lists: each shape is assembled from parts compiled once."""

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from service.models.indexes import SEARCH_CONFIG, SEARCH_TEXT, search_vector
from service.resources.declaration import RestResource
from service.resources.lists.filters import Filter
from service.resources.lists.sorting import Keyset, SortKey
from service.resources.relations.expansions import Expansion
from service.resources.relations.related import related_item
from service.resources.statements.columns import not_deleted, representation, with_version
from service.resources.statements.fragment import Fragment, concatenate, every
from service.resources.statements.ownership import RowAccess
from service.resources.statements.statement import Statement, compile_fragment, parameter, statement_of

SHAPES = 128  # cached statements of each kind, a few kilobytes each
_WHERE, _ORDER = "/*where*/", "/*order*/"
# A page is one row: the driver takes longer to make fifty records than PostgreSQL takes to join fifty texts. The items
# are bytes, which nobody decodes and encodes again.
_ITEMS = "SELECT convert_to(string_agg(body, ','{}) FILTER (WHERE place < "
_FORWARD, _BACKWARD = _ITEMS.format(""), _ITEMS.format(" ORDER BY place DESC")
_NEAREST = "::integer), 'UTF8') AS items, count(*) AS found, max(body) FILTER (WHERE place = 1) AS nearest, "
_FURTHEST = "max(body) FILTER (WHERE place = "
_FROM = "::integer - 1) AS furthest FROM (SELECT body::text, row_number() OVER () AS place FROM ("
_PLACED = ") AS _rows) AS _placed"


class Shape(NamedTuple):
    """Lists of the same shape share their SQL; everything else is a parameter. `own` lists show the caller's items.

    The `keys` of a `backward` page are those of its rows: in the order of the list, the items are shown reversed.
    """

    filters: tuple[str, ...]
    keys: tuple[SortKey, ...]
    search: bool
    cursor: bool
    nulls: frozenset[str] = frozenset()
    expand: tuple[Expansion, ...] = ()
    own: bool = False
    backward: bool = False


class ListStatements:
    """Builds and caches the statements of one resource by shape.

    `page` returns one row (items, found, nearest, furthest): up to `limit` - 1 items as the UTF-8 text of a list
    without its brackets, how many of `limit` rows exist, and the first and the last item in the order of `keys`.
    `rows` returns a row (body, version) for each item.
    """

    def __init__(self, resource: RestResource, access: RowAccess, filters: Mapping[str, Filter]) -> None:
        self._resource = resource
        self._filters = filters
        self._keyset = Keyset(resource.table)
        self._conditions: dict[str, Fragment] = {}
        self._not_deleted = compile_fragment(not_deleted(resource.table))
        self._own = own = access.own
        self._is_own = [] if own is None else [compile_fragment(own.owns_listed())]
        self._is_own_below = [] if own is None else [compile_fragment(own.owns(own.column))]
        self._parts = lru_cache(SHAPES)(self._compiled)
        self.page = lru_cache(SHAPES)(self._page)
        self.count = lru_cache(SHAPES)(self._count)
        self.estimate = lru_cache(SHAPES)(self._estimate)

    @cached_property
    def _counted(self) -> list[Fragment]:
        return self._of_all(sa.func.count())

    @cached_property
    def _planned(self) -> list[Fragment]:
        return self._of_all(sa.literal_column("1"))

    def _compiled(self, expand: tuple[Expansion, ...]) -> list[Fragment]:
        return compile_fragment(self._select(expand)).split(_WHERE, _ORDER)

    def _select(self, expand: tuple[Expansion, ...]) -> sa.Select[Any]:
        """Return a page of any shape, with placeholders for conditions and order."""
        table = self._resource.table
        rows = (
            sa.select(*with_version(table, self._resource.read_columns))
            .where(sa.literal_column(_WHERE, sa.Boolean()))
            .order_by(sa.literal_column(_ORDER))
            .limit(parameter("limit", sa.Integer()))
            .subquery("_page")
        )
        more = [related_item(rows, expansion) for expansion in expand]
        return representation(rows, self._resource, more)

    def _of_all(self, what: sa.ColumnElement[Any]) -> list[Fragment]:
        rows = sa.select(what).select_from(self._resource.table)
        return compile_fragment(rows.where(sa.literal_column(_WHERE, sa.Boolean()))).split(_WHERE)

    def _where(self, shape: Shape) -> list[Fragment]:
        found = [self._not_deleted, *(self._condition(name) for name in shape.filters)]
        if shape.own:
            found += self._is_own_below if self._of_one_parent(shape) else self._is_own
        return [*found, self._condition("")] if shape.search else found

    def _of_one_parent(self, shape: Shape) -> bool:
        """Whether a filter names the parent whose owner decides, so that one look-up takes the place of all parents."""
        given = [self._filters[name] for name in shape.filters]
        own = self._own
        return own is not None and any(
            one.operator == "eq" and one.compares(own.owner.field) for one in given
        )

    def _condition(self, name: str) -> Fragment:
        """Return the condition of a filter by name; without a name, of the search."""
        if (found := self._conditions.get(name)) is None:
            condition = self._filters[name].condition() if name else self._matches()
            found = self._conditions[name] = compile_fragment(condition)
        return found

    def _matches(self) -> sa.ColumnElement[bool]:
        vector: sa.ColumnElement[Any] = sa.literal_column(search_vector(*self._resource.searchable))
        words = getattr(sa.func, SEARCH_TEXT)(parameter("search", sa.Text()))
        query = sa.func.websearch_to_tsquery(sa.literal_column(f"'{SEARCH_CONFIG}'::regconfig"), words)
        return vector.op("@@")(query)

    def _page(self, shape: Shape) -> Statement:
        head = Fragment(
            (_BACKWARD if shape.backward else _FORWARD, _NEAREST + _FURTHEST, _FROM), ("limit", "limit")
        )
        return statement_of(concatenate(head, self._rows(shape), _PLACED), reads=True)

    def rows(self, shape: Shape) -> Statement:
        """Return the statement for the items as rows, for exports."""
        return statement_of(self._rows(shape), reads=True)

    def _rows(self, shape: Shape) -> Fragment:
        where = self._where(shape)
        if shape.cursor:
            filtered = any(self._filters[name].compares(shape.keys[0].field) for name in shape.filters)
            where.append(self._keyset.after(shape.keys, shape.nulls, filtered=filtered))
        head, middle, tail = self._parts(shape.expand)
        return concatenate(head, every(where), middle, self._keyset.order_by(shape.keys), tail)

    def _count(self, shape: Shape) -> Statement:
        head, tail = self._counted
        return statement_of(concatenate(head, every(self._where(shape)), tail), reads=True)

    def _estimate(self, shape: Shape) -> Statement:
        """Return the statement for the planner's row estimate, as a JSON plan."""
        head, tail = self._planned
        rows = concatenate("EXPLAIN (FORMAT JSON) ", head, every(self._where(shape)), tail)
        return statement_of(rows, reads=True)
