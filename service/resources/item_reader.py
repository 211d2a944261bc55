"""Where the operation `read` gets items from: the database, or a cache in front of it if the resource declares one."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple
from uuid import UUID

from starlette.requests import Request

from service import actor
from service.cache.loading_cache import LoadingCache
from service.cache.memory import Memory
from service.http.content.preconditions import TagMaker, Tags
from service.http.middleware.state import field_values
from service.resources.declaration import Cached
from service.resources.statements.ownership import Rows


class Item(NamedTuple):
    """The representation of an item, its version, and if it is cached, `seen_by` of the caller for whom it was read."""

    body: bytes
    version: int
    seen_by: str = ""


Load = Callable[[UUID, Rows], Awaitable[Item | None]]
ReadItem = Callable[[UUID, Rows, Request, Tags | None, Tags | None], Awaitable[Item | None]]
"""Returns an item among the rows of a caller; None if the caller has no such item. The tags are those that the
request's preconditions name."""


def seen_by(rows: Rows) -> str:
    """Return a text that differs between callers who see different rows: by the engine's condition, or by row-level
    security."""
    told = actor.seen_rows()
    return rows.key if told is None else rows.key + told.key


class CachedItems:
    """Items from the memory, for the lifetime of the declaration.

    A client that knows a newer version than the cached one, by its entity tag, gets that version or a later one.
    An item that was read for a caller who sees other rows is read again, and not kept.
    """

    def __init__(self, name: str, memory: Memory, declared: Cached, tags: TagMaker, load: Load) -> None:
        self._cache: LoadingCache[UUID, Item] = LoadingCache(
            name, memory, seconds=declared.seconds, size=lambda item: len(item.body)
        )
        self._tags = tags
        self._load = load

    async def read(self, item_id: UUID, rows: Rows, request: Request, *known: Tags | None) -> Item | None:
        """See `ReadItem`."""
        item = await self._read(item_id, rows, request, *known)
        return item if item is None or item.seen_by == seen_by(rows) else await self._load(item_id, rows)

    async def _read(self, item_id: UUID, rows: Rows, request: Request, *known: Tags | None) -> Item | None:
        load = partial(self._load_seen, item_id, rows)
        reload = _asks_for_the_latest(request)
        item = await self._cache.get(item_id, load, reload=reload)
        if item is None or reload:
            return item
        for tags in known:
            if tags is not None and self._tags.newest(tags) > item.version:
                return await self._cache.get(item_id, load, reload=True)
        return item

    async def _load_seen(self, item_id: UUID, rows: Rows) -> Item | None:
        item = await self._load(item_id, rows)
        return None if item is None else item._replace(seen_by=seen_by(rows))

    def changed(self, rows: set[str] | None) -> None:
        """Forget changed items; all of them with None."""
        if rows is None:
            self._cache.clear()
            return
        for row in rows:
            self._cache.drop(UUID(row))


def _asks_for_the_latest(request: Request) -> bool:
    """Whether the request refuses stored answers (RFC 9111, sections 5.2.1.1 and 5.2.1.4; in any case by 5.2)."""
    asked = ",".join(field_values(request.scope, b"cache-control")).lower()
    return "no-cache" in asked or "no-store" in asked or "max-age=0" in asked
