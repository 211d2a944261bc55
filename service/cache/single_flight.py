"""Single flight: callers who want the same thing at the same time share one piece of work."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from service import clock
from service.ending import end

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    started: float  # of clock.monotonic()


class SingleFlight(Generic[K, T]):
    """Runs at most one piece of work per key at a time, and gives its outcome to every waiting caller.

    The work runs in its own task, so cancelling one caller does not affect the others. An error is raised in all
    waiting callers and then forgotten. A caller joins only work that started at most `join_within` seconds ago, so its
    result is at most that much older than its request.
    """

    def __init__(self, join_within: float = float("inf")) -> None:
        self._join_within = join_within
        self._flights: dict[K, _Flight[T]] = {}
        self._running: set[asyncio.Task[T]] = set()  # including those too old to join

    async def do(self, key: K, work: Callable[[], Awaitable[T]]) -> T:
        """Return or raise the outcome of `work`, or of the work already running under `key`."""
        return await asyncio.shield(self.start(key, work))

    def start(self, key: K, work: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        """Return the task running under `key`; start one unless it can be joined."""
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
        """Return the task running under `key`, regardless of its age."""
        flight = self._flights.get(key)
        return None if flight is None else flight.task

    def forget(self, key: K) -> None:
        """Let later callers start work of their own. Those who wait already get the outcome of the running one."""
        self._flights.pop(key, None)

    def forget_all(self) -> None:
        """`forget` every key."""
        self._flights.clear()

    async def close(self) -> None:
        """Cancel all tasks. Returns when they have ended."""
        await end(self._running)

    def _land(self, key: K, flight: _Flight[T]) -> None:
        self._running.discard(flight.task)
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.task.cancelled():
            flight.task.exception()  # mark as retrieved, in case every caller is gone


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
