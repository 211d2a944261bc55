"""Closes connections that clients keep open without sending a request (keep-alive).

One timer serves all requests of a connection: to set one after each response, and to cancel it, costs more than to read
the header.
"""

import asyncio
from collections.abc import Callable


class IdleTimer:
    """Calls `expired` once the connection has been idle for `seconds`."""

    __slots__ = ("_expired", "_loop", "_seconds", "_since", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._expired = expired
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether the connection is idle."""
        return self._since is not None

    def begin(self) -> None:
        """The connection is idle from now on."""
        self._since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._check)

    def end(self) -> None:
        """The client has sent something."""
        self._since = None

    def stop(self) -> None:
        """The connection is gone."""
        self._since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = None
        if self._since is None:
            return  # `begin` starts the timer again
        left = self._since + self._seconds - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._check)
        else:
            self._expired()
