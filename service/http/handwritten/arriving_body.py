"""Checks the body of a hand-written route as it arrives, whether FastAPI or the route reads it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import Headers

from service.http.content import strict_json
from service.http.content.gc_pause import LARGE, collector_paused, pause_collector_for_a_turn
from service.http.content.media_types import MediaType, media_type
from service.http.handwritten.form_body import URL_ENCODED, check_url_encoded
from service.http.handwritten.signature import rules_of


class BodyCheck:
    """Collects the body of one request, and checks it once it is complete."""

    __slots__ = ("_check", "_chunks")

    def __init__(self, scope: Any) -> None:
        rules = rules_of(scope)
        kind = media_type(Headers(scope=scope).get("content-type", ""))
        self._check = None if rules is None or rules.any_body or kind is None else _check_of(kind)
        self._chunks: list[bytes] = []

    async def add(self, chunk: bytes, *, last: bool) -> None:
        """Add a chunk; after the last one, check the whole body. Raises `InvalidJson` or `MalformedRequest`."""
        if self._check is None:
            return
        self._chunks.append(chunk)
        if last and (body := b"".join(self._chunks)):
            self._chunks.clear()
            await self._check(body)
            if len(body) > LARGE:
                await asyncio.sleep(0)
                pause_collector_for_a_turn()  # in which FastAPI parses the document again


def _check_of(kind: MediaType) -> Callable[[bytes], Awaitable[None]] | None:
    """Return the check for a media type; None if only the route knows what is right."""
    if kind.is_json:
        return _check_json
    return check_url_encoded if kind.name == URL_ENCODED else None


async def _check_json(body: bytes) -> None:
    with collector_paused(len(body)):
        _ = await strict_json.read(body)
        del _  # or the collector would traverse it
