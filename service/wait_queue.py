"""Requests that wait for something that others give back: a connection of the pool, a place among running requests."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

Given = TypeVar("Given")
CHECK_SECONDS = 0.01  # between two checks for waits that have taken too long


class _Waiter(NamedTuple, Generic[Given]):
    future: "asyncio.Future[Given]"
    last: int  # the check at which the wait ends


class WaitQueue(Generic[Given]):
    """The longest wait comes first, and all last at most `seconds`. One timer serves all of them: in an overload,
    hundreds wait.

    The timer counts checks, so time in which the process did not run is not waiting time.
    """

    def __init__(self, seconds: float) -> None:
        self._checks = max(1, round(seconds / CHECK_SECONDS))
        self.waiters: deque[_Waiter[Given]] = deque()
        """Who may wait, for a look that takes less time than `len`: if it is empty, nobody does."""
        self._check_number = 0
        self._checking = False

    def __len__(self) -> int:
        """How many wait."""
        return sum(not waiter.future.done() for waiter in self.waiters)

    def join(self) -> "asyncio.Future[Given]":
        """Return what gets a result, or a `TimeoutError`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Given] = loop.create_future()
        # Not less than the time: the next check may come at once.
        self.waiters.append(_Waiter(future, self._check_number + self._checks + 1))
        if not self._checking:
            self._checking = True
            loop.call_later(CHECK_SECONDS, self._check)
        return future

    def serve(self, given: Given) -> bool:
        """Give something to the longest wait. False if nobody waits."""
        while self.waiters:
            future = self.waiters.popleft().future
            if not future.done():
                future.set_result(given)
                return True
        return False

    def refuse(self, error: Callable[[], Exception]) -> None:
        """End all waits with an error."""
        while self.waiters:
            future = self.waiters.popleft().future
            if not future.done():
                future.set_exception(error())

    def _check(self) -> None:
        self._check_number += 1
        while self.waiters and (self.waiters[0].future.done() or self.waiters[0].last <= self._check_number):
            future = self.waiters.popleft().future
            if not future.done():
                future.set_exception(TimeoutError())
        self._checking = bool(self.waiters)
        if self._checking:
            asyncio.get_running_loop().call_later(CHECK_SECONDS, self._check)
