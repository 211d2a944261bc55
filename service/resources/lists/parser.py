"""Parses the parameters of a list request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import orjson

from service.config import PerformanceSettings
from service.http.problems import FieldError, InvalidParameter
from service.resources.declaration import RestResource
from service.resources.lists.cursor import Cursor, CursorCodec
from service.resources.lists.filters import Filter, parse_filters
from service.resources.lists.sorting import SortKey, parse_sort
from service.resources.lists.sql import Shape
from service.resources.relations.expansions import EXPAND, Expansion
from service.resources.requests.parameters import Query, Splitter, page_limit, parse_query, split_words
from service.resources.statements.ownership import EVERY_ROW, Rows

LONGEST_SEARCH = 200
COUNTS = ("exact", "estimated")
CURSOR = "cursor"
KEPT, LONGEST_KEPT = 256, 512  # parsed query strings of each resource, and the bytes of one
# Typographic quotes mark a phrase like plain ones.
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»″＂", '"'))  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A valid list request. `arguments` are driver values; `bound_to` identifies the list that cursors belong to.

    `link` is the query string for links to other pages of the list, without a cursor.
    """

    shape: Shape
    arguments: Mapping[str, Any]
    limit: int
    count: str | None
    bound_to: str
    link: str


class ListParser:
    """Parses the list requests of one resource."""

    def __init__(
        self,
        resource: RestResource,
        filters: Mapping[str, Filter],
        sizes: PerformanceSettings,
        cursors: CursorCodec,
        more: Mapping[str, Splitter],
    ) -> None:
        self._resource = resource
        self._filters = filters
        self._sizes = sizes
        self._cursors = cursors
        self._lists: dict[str, Splitter] = {"sort": split_words, **more}
        self._lists |= {name: f.splitter for name, f in filters.items() if f.splitter is not None}
        # Clients ask for the same first pages again and again.
        self._kept_splits = lru_cache(KEPT)(self._split)
        self._kept = lru_cache(KEPT)(self._read)

    def split(self, raw: bytes) -> Query:
        """Return the parameters in a query string as text. Raises `InvalidParameter`."""
        return self._kept_splits(raw) if len(raw) <= LONGEST_KEPT else self._split(raw)

    def read(self, raw: bytes, given: Query, seen: Rows, expand: tuple[Expansion, ...]) -> ListQuery:
        """Return the request in a query string, which `split` has split. Parameters and errors as of `parse`."""
        # Accepted cursors change with the keys.
        if len(raw) > LONGEST_KEPT or CURSOR in given.single:
            return self.parse(given, seen, expand)
        query = self._kept(raw, expand)  # for all callers
        if not seen.arguments:
            return query
        return replace(
            query,
            shape=query.shape._replace(own=not seen.every),
            arguments={**query.arguments, **seen.arguments},
            bound_to=query.bound_to + seen.key,
        )

    def _split(self, raw: bytes) -> Query:
        return parse_query(raw, self._lists)

    def _read(self, raw: bytes, expand: tuple[Expansion, ...]) -> ListQuery:
        return self.parse(self.split(raw), EVERY_ROW, expand)

    def parse(self, given: Query, seen: Rows, expand: tuple[Expansion, ...] = (), **more: str) -> ListQuery:
        """Return the request for one page of the rows that the caller sees, whose items `expand`.

        `more` are filters that are not part of its links. Raises `InvalidParameter` or `InvalidCursor`.
        """
        rest, lists = {**given.single, **more}, dict(given.lists)
        lists.pop(EXPAND, None)
        limit = page_limit(rest, default=self._sizes.page_size, most=self._sizes.page_size_max)
        rest.pop("limit", None)
        sort = lists.pop("sort", None) or self._resource.default_sort.split(",")
        keys = parse_sort(self._resource, sort)
        cursor_text = rest.pop(CURSOR, None)
        count = _one_of("count", rest.pop("count", None), COUNTS)
        search = self._search(rest)
        values = parse_filters(self._filters, Query(rest, lists))
        arguments = {f"f_{name}": value for name, value in values.items()} | dict(seen.arguments)
        if search is not None:
            arguments["search"] = search
        filters = [*sorted(rest.items()), *sorted(lists.items())]
        bound_to = orjson.dumps([self._resource.path, sort, search, filters]).decode() + seen.key
        cursor = None if cursor_text is None else self._cursors.read(cursor_text, bound_to=bound_to)
        backward = cursor is not None and cursor.backward
        if backward:
            keys = tuple(key.reversed() for key in keys)
        nulls: frozenset[str] = frozenset()
        if cursor is not None:
            nulls = frozenset(k.field for k, v in zip(keys, cursor.values, strict=True) if v is None)
            arguments |= self._bounds(keys, cursor)
        own, searched, paged = not seen.every, search is not None, cursor is not None
        shape = Shape(tuple(sorted(values)), keys, searched, paged, nulls, expand, own, backward)
        link = urlencode([pair for pair in given.pairs() if pair[0] != CURSOR])
        return ListQuery(shape, {**arguments, "limit": limit + 1}, limit, count, bound_to, link)

    def parse_all(self, given: Query, seen: Rows, expand: tuple[Expansion, ...] = ()) -> ListQuery:
        """Return the request for all items at once. Raises `InvalidParameter`, also for parameters of pages."""
        if paged := given.single.keys() & {"limit", CURSOR, "count"}:
            errors = [
                FieldError("This parameter does not apply here.", parameter=name) for name in sorted(paged)
            ]
            raise InvalidParameter(errors=errors)
        query = self.parse(given, seen, expand)
        return replace(query, arguments={**query.arguments, "limit": None})

    def _search(self, rest: dict[str, str]) -> str | None:
        if not self._resource.searchable:
            return None
        words = rest.pop("q", None)
        if words is not None and (len(words) > LONGEST_SEARCH or "\x00" in words):
            message = f"The value must have at most {LONGEST_SEARCH} characters, and no NUL."
            raise InvalidParameter(errors=[FieldError(message, parameter="q")])
        # A blank value is no search.
        return words.translate(_QUOTES) if words and words.strip() else None

    def _bounds(self, keys: Sequence[SortKey], cursor: Cursor) -> dict[str, Any]:
        bounds = {}
        for key, value in zip(keys, cursor.values, strict=True):
            bounds[f"k_{key.field}"] = self._resource.kinds[key.field].wire_shown(value)
        return bounds


def _one_of(name: str, value: str | None, choices: tuple[str, ...]) -> str | None:
    if value is not None and value not in choices:
        message = f"The value must be one of {', '.join(choices)}."
        raise InvalidParameter(errors=[FieldError(message, parameter=name)])
    return value
