"""When a time that begins and ends often expires: that of an idle connection, that of a statement."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest

from service.lazy_timer import LazyTimer

SECONDS = 10


class Clock:
    """The time and the timers of an event loop. `set_timers` counts the timers so far."""

    def __init__(self) -> None:
        self.now = 0.0
        self.set_timers = 0
        self._timers: list[tuple[float, Callable[[], object], Clock.Handle]] = []

    class Handle:
        cancelled = False

        def cancel(self) -> None:
            self.cancelled = True

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, then: Callable[..., object], *arguments: object) -> Handle:
        self.set_timers += 1
        return self._call(delay, then, *arguments)

    def call_soon(self, then: Callable[..., object], *arguments: object) -> Handle:
        return self._call(0, then, *arguments)

    def _call(self, delay: float, then: Callable[..., object], *arguments: object) -> Handle:
        handle = self.Handle()
        self._timers.append((self.now + delay, partial(then, *arguments), handle))
        return handle

    @property
    def pending(self) -> int:
        """How many timers are set."""
        return sum(not handle.cancelled for _, _, handle in self._timers)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self._timers if timer[0] <= end]:
            timer = min(due, key=lambda one: one[0])
            self._timers.remove(timer)
            self.now = timer[0]
            if not timer[2].cancelled:
                timer[1]()
        self.now = end


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def expired() -> list[float]:
    """The times at which the timer expired."""
    return []


@pytest.fixture
def timer(clock: Clock, expired: list[float]) -> LazyTimer:
    loop: Any = clock
    return LazyTimer(cast("asyncio.AbstractEventLoop", loop), SECONDS, lambda: expired.append(clock.now))


def test_idle_connection_expires_exactly_once(clock: Clock, timer: LazyTimer, expired: list[float]) -> None:
    timer.begin()
    clock.advance(5 * SECONDS)
    assert expired == [SECONDS]


@pytest.mark.parametrize("used_at", [0.5, 1, 5, 9])
def test_each_request_starts_the_time_again(
    clock: Clock, timer: LazyTimer, expired: list[float], used_at: float
) -> None:
    timer.begin()
    clock.advance(used_at)
    timer.end()
    clock.advance(0.25)
    timer.begin()
    clock.advance(5 * SECONDS)
    assert expired == [used_at + 0.25 + SECONDS]


def test_running_request_does_not_expire(clock: Clock, timer: LazyTimer, expired: list[float]) -> None:
    timer.begin()
    clock.advance(1)
    timer.end()
    assert not timer.running
    clock.advance(5 * SECONDS)
    assert expired == []
    timer.begin()
    clock.advance(SECONDS)
    assert expired == [1 + 6 * SECONDS]


def test_thousand_requests_share_a_timer(clock: Clock, timer: LazyTimer, expired: list[float]) -> None:
    for _ in range(1000):
        timer.begin()
        clock.advance(0.001)
        timer.end()
    assert clock.set_timers == 1
    assert expired == []


def test_lost_connection_does_not_expire(clock: Clock, timer: LazyTimer, expired: list[float]) -> None:
    timer.stop()  # before it has begun
    timer.begin()
    timer.stop()
    assert not timer.running
    assert clock.pending == 0
    clock.advance(5 * SECONDS)
    assert expired == []
