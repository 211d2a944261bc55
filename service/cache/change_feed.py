"""Tells caches which rows have changed: those of this process at once, those of other processes through Redis.

Messages name tables and rows, never values, so two versions of the service can share a feed.
"""

import asyncio
import secrets
from collections.abc import Callable, Container, Mapping, Sequence

import orjson
from prometheus_client import Gauge

from service.cache.redis_client import NoRedis, Redis
from service.cache.subscription import RETRY_SECONDS, listen
from service.database.row_changes import RowChanges
from service.jobs.job import Job

Watcher = Callable[[set[str] | None], None]
"""Takes the ids of changed rows; None if any row of the table may have changed."""

_joined = Gauge(
    "slipway_cache_feed_up",
    "1 while the process is told which rows other processes change; otherwise cached items are up to a second old.",
    multiprocess_mode="livemin",
)


class ChangeFeed:
    """The changes of all processes with the same `name` on one Redis."""

    def __init__(self, redis: Redis | NoRedis, name: str) -> None:
        self._redis = redis
        self._channel = f"slipway:changes:{name}"
        self._process = secrets.token_hex(8)
        self._watchers: dict[str, list[Watcher]] = {}
        self._telling: set[asyncio.Task[None]] = set()

    @property
    def jobs(self) -> Sequence[Job]:
        """The job that listens; none without Redis or without watchers."""
        if isinstance(self._redis, NoRedis) or not self._watchers:
            return ()
        return (Job("cache-feed", self._listen, RETRY_SECONDS),)

    @property
    def watched(self) -> Container[str]:
        """The tables that have watchers."""
        return self._watchers.keys()

    def watch(self, table: str, watcher: Watcher) -> None:
        """Call `watcher` whenever rows of the table have changed, or changes may have been missed."""
        self._watchers.setdefault(table, []).append(watcher)

    def announce(self, changes: RowChanges) -> asyncio.Task[None] | None:
        """Tell the caches of this process, and begin to tell the others. See `service.database.row_changes.Tell`."""
        watched = {table: rows for table, rows in changes.items() if table in self._watchers}
        if not watched:
            return None
        self._apply(watched)
        telling = asyncio.create_task(self._publish(watched))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)
        return telling

    async def _publish(self, changes: Mapping[str, set[str] | None]) -> None:
        if isinstance(self._redis, NoRedis):
            return
        rows = {table: None if ids is None else [*ids] for table, ids in changes.items()}
        await self._redis.publish(self._channel, orjson.dumps({"by": self._process, "rows": rows}))

    async def _listen(self) -> None:
        assert isinstance(self._redis, Redis)
        try:
            await listen(self._redis, self._channel, joined=self._join, received=self._receive)
        finally:
            _joined.set(0)

    def _join(self) -> None:
        """Forget what may have changed while this process was not listening."""
        _joined.set(1)
        self._apply(dict.fromkeys(self._watchers))

    def _receive(self, message: bytes) -> None:
        """Whatever else writes into the channel is ignored."""
        try:
            content = orjson.loads(message)
            if content["by"] != self._process:
                self._apply(
                    {
                        str(table): None if rows is None else set(map(str, rows))
                        for table, rows in content["rows"].items()
                    }
                )
        except (ValueError, LookupError, TypeError, AttributeError):
            return

    def _apply(self, changes: Mapping[str, set[str] | None]) -> None:
        for table, rows in changes.items():
            for watcher in self._watchers.get(table, ()):
                watcher(rows)
