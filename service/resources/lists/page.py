"""Pages of lists: the body, and links to the neighbouring pages."""

from dataclasses import dataclass

import asyncpg
import orjson

from service.resources.columns import json_text
from service.resources.lists.cursor import Cursor, CursorCodec
from service.resources.lists.parser import ListQuery


@dataclass(frozen=True, slots=True)
class Page:
    """One page as JSON, and the cursors of its neighbours."""

    body: bytes
    next_cursor: str | None
    previous_cursor: str | None
    empty: bool


class PageBuilder:
    """Builds pages from the row that the statement of a page returns."""

    def __init__(self, cursors: CursorCodec) -> None:
        self._cursors = cursors

    def build(self, query: ListQuery, row: asyncpg.Record, total: int | None) -> Page:
        """Return the page in the row of its statement. One row more than the limit means that the list goes on."""
        items, found, nearest, furthest = row
        onward = furthest if found > query.limit else None
        back = nearest if query.shape.cursor else None
        last, first = (back, onward) if query.shape.backward else (onward, back)
        next_cursor = None if last is None else self._cursor(query, last, backward=False)
        members = [b'{"items":[', items or b"", b'],"next_cursor":', orjson.dumps(next_cursor)]
        if total is not None:
            members += [b',"total":', orjson.dumps(total)]
        previous_cursor = None if first is None else self._cursor(query, first, backward=True)
        return Page(b"".join([*members, b"}"]), next_cursor, previous_cursor, empty=not found)

    def _cursor(self, query: ListQuery, body: str, *, backward: bool) -> str:
        item = json_text.read(body)
        values = tuple(item[key.field] for key in query.shape.keys)
        return self._cursors.write(Cursor(values, backward), bound_to=query.bound_to)


def links(path: str, query: ListQuery, page: Page) -> str:
    """Return the `Link` field (RFC 8288): first, and next and prev where they exist.

    Lists are repeated parameters, which every client can parse. Cursors need no encoding.
    """
    more = f"{path}?{query.link}&cursor=" if query.link else f"{path}?cursor="
    text = f'<{path}?{query.link}>; rel="first"' if query.link else f'<{path}>; rel="first"'
    if page.next_cursor:
        text += f', <{more}{page.next_cursor}>; rel="next"'
    if page.previous_cursor:
        text += f', <{more}{page.previous_cursor}>; rel="prev"'
    return text
