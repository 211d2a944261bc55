"""Bounds what happens thousands of times a second and hardly ever takes too long: idle connections of clients,
statements of PostgreSQL.

To set a timer each time, and to cancel it, costs more than to read the header of a request. So one timer serves many
times in a row.
"""

import asyncio
from collections.abc import Callable

from service.deadline import Deadline


class LazyTimer:
    """Calls `expired` once `seconds` have passed since `begin` without an `end`."""

    __slots__ = ("_expired", "_loop", "_seconds", "_since", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._expired = expired
        self._since: float | None = None
        self._timer: Deadline | None = None

    @property
    def running(self) -> bool:
        """Whether it has begun and not ended."""
        return self._since is not None

    def begin(self) -> None:
        """The time runs from now on."""
        self._since = self._loop.time()
        if self._timer is None:
            self._timer = Deadline(self._loop, self._seconds, self._check)

    def end(self) -> None:
        """What was bounded is over."""
        self._since = None

    def stop(self) -> None:
        """It will not begin again."""
        self._since = None
        if self._timer is not None:
            self._timer.cancel()

    def _check(self) -> None:
        self._timer = None
        if self._since is None:
            return  # `begin` starts the timer again
        left = self._since + self._seconds - self._loop.time()
        if left > 0:
            self._timer = Deadline(self._loop, left, self._check)
        else:
            self._expired()
