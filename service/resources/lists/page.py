"""Pages of lists: the body, and links to the neighbouring pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import orjson

from service.resources.columns import json_text
from service.resources.lists.cursor import Cursor, CursorCodec
from service.resources.lists.parser import ListQuery
from service.resources.requests.parameters import Query


@dataclass(frozen=True, slots=True)
class Page:
    """One page as JSON, and the cursors of its neighbours."""

    body: bytes
    next_cursor: str | None
    previous_cursor: str | None
    empty: bool


class PageBuilder:
    """Builds pages from the rows of their statements."""

    def __init__(self, cursors: CursorCodec) -> None:
        self._cursors = cursors

    def build(self, query: ListQuery, bodies: list[str], total: int | None) -> Page:
        """Return the page with these items, as JSON text. One more than the limit means that there is a next page."""
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


def links(path: str, given: Query, page: Page) -> str:
    """Return the `Link` field (RFC 8288): first, and next and prev where they exist.

    Lists are repeated parameters, which every client can parse.
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
