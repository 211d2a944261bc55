"""Deadlines for input: of clients, and of PostgreSQL. They respect what arrived in time."""

import asyncio
from collections.abc import Callable

TURNS = 2  # of the event loop: a callback may run before the loop looks for input in its first turn


class Deadline:
    """Calls `then` after `seconds`, once the event loop has read everything that arrived until then.

    A process that gets no processor for a while finds an expired timer and unread input at the same time. The event
    loop may call the timer first. Closing a connection with unread input resets it, and the client gets no response.
    """

    __slots__ = ("_handle", "_loop", "_then")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, then: Callable[[], object]) -> None:
        self._loop = loop
        self._then = then
        self._handle: asyncio.Handle = loop.call_later(seconds, self._pass, TURNS)

    def _pass(self, turns: int) -> None:
        if turns:
            self._handle = self._loop.call_soon(self._pass, turns - 1)
        else:
            self._then()

    def cancel(self) -> None:
        self._handle.cancel()
