"""The SQL of lists: each shape is assembled from parts compiled once."""

from collections.abc import Mapping
from functools import lru_cache
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


class Shape(NamedTuple):
    """Lists of the same shape share their SQL; everything else is a parameter. `own` lists show the caller's items."""

    filters: tuple[str, ...]
    keys: tuple[SortKey, ...]
    search: bool
    cursor: bool
    nulls: frozenset[str] = frozenset()
    expand: tuple[Expansion, ...] = ()
    own: bool = False


class ListStatements:
    """Builds and caches the statements of one resource by shape."""

    def __init__(self, resource: RestResource, access: RowAccess, filters: Mapping[str, Filter]) -> None:
        self._resource = resource
        self._filters = filters
        self._keyset = Keyset(resource.table)
        self._conditions: dict[str, Fragment] = {}
        self._not_deleted = compile_fragment(not_deleted(resource.table))
        own = access.own
        self._is_own = [] if own is None else [compile_fragment(own.owns(own.column))]
        self._rows = lru_cache(SHAPES)(self._compiled)
        self._counted = self._of_all(sa.func.count())
        self._planned = self._of_all(sa.literal_column("1"))
        self.page = lru_cache(SHAPES)(self._page)
        self.count = lru_cache(SHAPES)(self._count)
        self.estimate = lru_cache(SHAPES)(self._estimate)

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
        found += self._is_own if shape.own else []
        return [*found, self._condition("")] if shape.search else found

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
        where = self._where(shape)
        if shape.cursor:
            filtered = any(self._filters[name].compares(shape.keys[0].field) for name in shape.filters)
            where.append(self._keyset.after(shape.keys, shape.nulls, filtered=filtered))
        head, middle, tail = self._rows(shape.expand)
        rows = concatenate(head, every(where), middle, self._keyset.order_by(shape.keys), tail)
        return statement_of(rows, reads=True)

    def _count(self, shape: Shape) -> Statement:
        head, tail = self._counted
        return statement_of(concatenate(head, every(self._where(shape)), tail), reads=True)

    def _estimate(self, shape: Shape) -> Statement:
        """Return the statement for the planner's row estimate, as a JSON plan."""
        head, tail = self._planned
        rows = concatenate("EXPLAIN (FORMAT JSON) ", head, every(self._where(shape)), tail)
        return statement_of(rows, reads=True)
