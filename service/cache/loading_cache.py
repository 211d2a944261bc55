"""A cache that loads what it lacks: bounded, with single flight, and never ahead of an invalidation."""

import random
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Generic, TypeVar

import structlog

from service import clock
from service.cache.memory import Entry, Memory
from service.cache.single_flight import SingleFlight
from service.observability.instruments import adder
from service.observability.metrics import cache_invalidations, cache_requests

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

log = structlog.get_logger(__name__)

JITTER = 0.1  # of a lifetime, which is shortened by up to that much, so that values do not expire together


class LoadingCache(Generic[K, V]):
    """Values of one kind, in `memory`. `name` is the label of its metrics, unique in the process.

    A value is fresh for `seconds` from the moment its load began. For `stale` seconds more, callers get it at once
    while one load renews it. Concurrent callers share a load. An invalidation, by `drop` or `clear`, also detaches the
    loads that run: what they return is not kept, and later callers do not wait for it. So a load that began before a
    change cannot bring back the value from before it.
    """

    def __init__(
        self, name: str, memory: Memory, *, seconds: float, stale: float = 0.0, size: Callable[[V], int]
    ) -> None:
        self._name = name
        self._memory = memory
        self._seconds = seconds
        self._stale = stale
        self._size = size
        self._generation = 0
        self._flights: SingleFlight[K, V | None] = SingleFlight()
        self._hit, self._miss, self._shared, self._old = (
            adder(cache_requests.labels(name, result)) for result in ("hit", "miss", "shared", "stale")
        )
        self._invalidations = cache_invalidations.labels(name)

    async def get(self, key: K, load: Callable[[], Awaitable[V | None]], *, reload: bool = False) -> V | None:
        """Return the value, or what `load` returns. None is not kept. With `reload`, it is loaded in any case."""
        if reload:
            self._forget(key)
        now = clock.monotonic()
        entry = self._memory.get((self._name, key))
        if entry is not None and entry.generation == self._generation:
            value: V = entry.value
            if now < entry.fresh_until:
                self._hit(1)
                return value
            if now < entry.good_until:
                self._old(1)
                self._flights.start(key, partial(self._renewed, key, load))
                return value
        shared = self._flights.running(key) is not None
        (self._shared if shared else self._miss)(1)
        found = await self._flights.do(key, partial(self._loaded, key, load))
        # Absent when the load began, which was before this call: it may exist by now.
        return await load() if found is None and shared else found

    def drop(self, key: K) -> None:
        """Invalidate the value of a key."""
        self._invalidations.inc()
        self._forget(key)

    def clear(self) -> None:
        """Invalidate all values."""
        self._invalidations.inc()
        self._generation += 1  # earlier entries no longer count; others push them out of the memory
        self._flights.forget_all()

    async def close(self) -> None:
        """End the loads that run."""
        await self._flights.close()

    def _forget(self, key: K) -> None:
        self._memory.drop((self._name, key))
        self._flights.forget(key)

    async def _loaded(self, key: K, load: Callable[[], Awaitable[V | None]]) -> V | None:
        began, task = clock.monotonic(), self._flights.running(key)
        value = await load()
        if value is not None and task is not None and self._flights.running(key) is task:
            fresh = began + self._seconds * random.uniform(1 - JITTER, 1)  # noqa: S311  # no secret
            entry = Entry(value, self._size(value), fresh, fresh + self._stale, self._generation)
            self._memory.put((self._name, key), entry)
        return value

    async def _renewed(self, key: K, load: Callable[[], Awaitable[V | None]]) -> V | None:
        try:
            return await self._loaded(key, load)
        except Exception as error:
            log.warning("a cached value cannot be renewed", cache=self._name, reason=type(error).__name__)
            raise
