"""Lists: from query parameters to one statement by keyset, and from its rows to a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import orjson

from service.config import PerformanceSettings
from service.http.problems import FieldError, InvalidParameter
from service.resources.columns import json_text
from service.resources.declaration import RestResource
from service.resources.lists.cursor import Cursor, CursorCodec
from service.resources.lists.filters import filters_of, read_filters
from service.resources.lists.sorting import SortKey, read_sort
from service.resources.lists.statements import ListStatements, Shape
from service.resources.requests.parameters import Query, Splitter, page_limit, split_words

LONGEST_SEARCH = 200
# Typographic quotes mark a phrase like plain ones.
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»″＂", '"'))  # noqa: RUF001
COUNTS = ("exact", "estimated")


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A list that a request asks for, judged and typed."""

    shape: Shape
    arguments: Mapping[str, Any]
    limit: int
    count: str | None
    backward: bool
    bound_to: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page as bytes, and the cursors to its neighbours."""

    body: bytes
    next_cursor: str | None
    previous_cursor: str | None
    empty: bool


class Lister:
    """Reads list requests of one resource and builds their statements, each shape once."""

    def __init__(self, resource: RestResource, sizes: PerformanceSettings, cursors: CursorCodec) -> None:
        self.filters = filters_of(resource)
        self.lists: dict[str, Splitter] = {"sort": split_words}
        self.lists |= {name: f.splitter for name, f in self.filters.items() if f.splitter is not None}
        self._resource = resource
        self.sizes = sizes
        self._cursors = cursors
        statements = ListStatements(resource, self.filters)
        self.statement, self.count, self.estimate = (
            statements.statement,
            statements.count,
            statements.estimate,
        )

    def read(self, given: Query) -> ListQuery:
        """The query that the parameters ask for. Raises `InvalidParameter` or `InvalidCursor`."""
        rest, lists = dict(given.single), dict(given.lists)
        limit = page_limit(rest, default=self.sizes.page_size, most=self.sizes.page_size_max)
        rest.pop("limit", None)
        sort = lists.pop("sort", None) or self._resource.default_sort.split(",")
        keys = read_sort(self._resource, sort)
        cursor_text = rest.pop("cursor", None)
        count = _one_of("count", rest.pop("count", None), COUNTS)
        search = self._search(rest)
        values = read_filters(self.filters, Query(rest, lists))
        arguments = {f"f_{name}": value for name, value in values.items()}
        if search is not None:
            arguments["search"] = search
        filters = [*sorted(rest.items()), *sorted(lists.items())]
        bound_to = orjson.dumps([self._resource.path, sort, search, filters]).decode()
        cursor = None if cursor_text is None else self._cursors.read(cursor_text, bound_to=bound_to)
        backward = cursor is not None and cursor.backward
        if backward:
            keys = tuple(key.reversed() for key in keys)
        nulls: frozenset[str] = frozenset()
        if cursor is not None:
            nulls = frozenset(k.field for k, v in zip(keys, cursor.values, strict=True) if v is None)
            arguments |= self._bounds(keys, cursor)
        shape = Shape(tuple(sorted(values)), keys, search is not None, cursor is not None, nulls)
        return ListQuery(shape, {**arguments, "limit": limit + 1}, limit, count, backward, bound_to)

    def read_all(self, given: Query) -> ListQuery:
        """The query for all items at once. Raises `InvalidParameter`, also for parameters of pages."""
        if paged := given.single.keys() & {"limit", "cursor", "count"}:
            errors = [
                FieldError("There is no such parameter here.", parameter=name) for name in sorted(paged)
            ]
            raise InvalidParameter(errors=errors)
        query = self.read(given)
        return replace(query, arguments={**query.arguments, "limit": None})

    def _search(self, rest: dict[str, str]) -> str | None:
        if not self._resource.searchable:
            return None
        words = rest.pop("q", None)
        if words is not None and (len(words) > LONGEST_SEARCH or "\x00" in words):
            message = f"The value must have at most {LONGEST_SEARCH} characters, and no NUL."
            raise InvalidParameter(errors=[FieldError(message, parameter="q")])
        # Without a word there is nothing to search for.
        return words.translate(_QUOTES) if words and words.strip() else None

    def _bounds(self, keys: Sequence[SortKey], cursor: Cursor) -> dict[str, Any]:
        bounds = {}
        for key, value in zip(keys, cursor.values, strict=True):
            bounds[f"k_{key.field}"] = self._resource.kinds[key.field].wire_shown(value)
        return bounds

    def page(self, query: ListQuery, bodies: list[str], total: int | None) -> Page:
        """The page of the rows that the statement gave, of which there may be one more than asked for."""
        more = len(bodies) > query.limit
        bodies = bodies[: query.limit]
        if query.backward:
            bodies.reverse()
        last = bodies[-1] if bodies and (more or query.backward) else None
        first = bodies[0] if bodies and query.shape.cursor and (more or not query.backward) else None
        next_cursor = self._cursor(query, last, backward=False)
        members = [b'{"items":[', ",".join(bodies).encode(), b'],"next_cursor":', orjson.dumps(next_cursor)]
        if total is not None:
            members += [b',"total":', orjson.dumps(total)]
        previous_cursor = self._cursor(query, first, backward=True)
        return Page(b"".join([*members, b"}"]), next_cursor, previous_cursor, empty=not bodies)

    def _cursor(self, query: ListQuery, body: str | None, *, backward: bool) -> str | None:
        if body is None:
            return None
        item = json_text.read(body)
        values = tuple(item[key.field] for key in query.shape.keys)
        return self._cursors.write(Cursor(values, backward), bound_to=query.bound_to)


def _one_of(name: str, value: str | None, choices: tuple[str, ...]) -> str | None:
    if value is not None and value not in choices:
        message = f"The value must be one of {', '.join(choices)}."
        raise InvalidParameter(errors=[FieldError(message, parameter=name)])
    return value


def links(path: str, given: Query, page: Page) -> str:
    """The `Link` field (RFC 8288): first, and next and prev where there are such pages.

    Lists are repeated parameters in it, which every client reads and writes back as they are.
    """
    rest = [(name, value) for name, value in given.pairs() if name != "cursor"]
    targets = [("first", rest)]
    if page.next_cursor:
        targets.append(("next", [*rest, ("cursor", page.next_cursor)]))
    if page.previous_cursor:
        targets.append(("prev", [*rest, ("cursor", page.previous_cursor)]))
    return ", ".join(f'<{path}{_query(query)}>; rel="{rel}"' for rel, query in targets)


def _query(parameters: Sequence[tuple[str, str]]) -> str:
    return f"?{urlencode(parameters)}" if parameters else ""
