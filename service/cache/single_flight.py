"""Single flight: callers who want the same thing at the same time share one piece of work."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from service import clock

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    started: float  # of clock.monotonic()


class SingleFlight(Generic[K, T]):
    """Runs at most one piece of work per key at a time, and gives its outcome to everyone who waits for it.

    The work is a task of its own: a caller who is cancelled takes nothing from the others. An error goes to those
    who waited for it and is then forgotten. A caller joins work that started at most `join_within` seconds ago, so
    that nobody gets an answer that was read longer ago than that before they asked.
    """

    def __init__(self, join_within: float = float("inf")) -> None:
        self._join_within = join_within
        self._flights: dict[K, _Flight[T]] = {}
        self._running: set[asyncio.Task[T]] = set()  # those too that nobody may join any more

    async def do(self, key: K, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` returns or raises, or what the work that runs under `key` already does."""
        return await asyncio.shield(self.start(key, work))

    def start(self, key: K, work: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        """The task that runs under `key`, started unless one can be joined."""
        now = clock.monotonic()
        running = self._flights.get(key)
        if running is not None and now - running.started <= self._join_within:
            return running.task
        flight = _Flight(asyncio.create_task(_awaited(work)), now)
        self._flights[key] = flight
        self._running.add(flight.task)
        flight.task.add_done_callback(lambda _: self._land(key, flight))
        return flight.task

    def running(self, key: K) -> asyncio.Task[T] | None:
        """The task that runs under `key`, however long ago it started."""
        flight = self._flights.get(key)
        return None if flight is None else flight.task

    async def close(self) -> None:
        """Cancel what is running. Returns when it has ended."""
        running = [*self._running]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _land(self, key: K, flight: _Flight[T]) -> None:
        self._running.discard(flight.task)
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.task.cancelled():
            flight.task.exception()  # retrieved: when every caller has gone, nobody else does it


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
