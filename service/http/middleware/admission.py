"""Admission: how many requests a process works on at a time.

Beyond a limit, more requests only wait for the same few database connections until all of them are late. A client that
is turned away soon can try another replica. Waiting for a client, to send its body or to read its response, does not
count, so slow clients cannot keep others out.

A request gets its place before a task runs for it (`entrance`), and asks again after it has waited for its body.

It waits for a moment before it is turned away. So a short burst is served, and clients that ask again at once
do so less often: each refusal takes time from the requests that are served (docs/decisions/0049).
"""

import asyncio

from prometheus_client import Counter

from service.observability.instruments import adder
from service.wait_queue import WaitQueue

turned_away = Counter(
    "slipway_requests_turned_away",
    "Requests answered with 503, or cut off, because the process runs or holds as much as it may: running requests, "
    "connections, bodies, bulk requests, or responses that clients do not read.",
    ["reason"],
)
for _reason in ("running", "connections", "bodies", "answers", "bulks"):
    turned_away.labels(_reason)
count_refusal = adder(turned_away.labels("running"))
WAIT_SECONDS = 0.03


class Admission:
    """Counts the running requests of one process, at most `limit`."""

    __slots__ = ("_limit", "_queue", "running")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queue: WaitQueue[None] = WaitQueue(WAIT_SECONDS)
        self.running = 0

    def enter(self) -> bool:
        """Take a place. False if all are taken."""
        if self.running >= self._limit:
            return False
        self.running += 1
        return True

    def queue(self) -> "asyncio.Future[None]":
        """Wait for a place without a task. Returns what ends with the next free one, or with a `TimeoutError`."""
        return self._queue.join()

    async def wait(self) -> bool:
        """Take the next free place. False if none becomes free in time."""
        place = self._queue.join()
        try:
            await place
        except TimeoutError:
            count_refusal(1)
            return False
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.leave()  # it came in the same turn of the loop
            raise
        return True

    def leave(self) -> None:
        """Give a place back."""
        self.running -= 1
        if self._queue.waiters:
            # Later in this turn of the loop: a request whose body is here already takes its place again at once.
            asyncio.get_running_loop().call_soon(self._admit_waiting)

    def _admit_waiting(self) -> None:
        while self.running < self._limit and self._queue.serve(None):
            self.running += 1


class NoAdmission:
    """Admits every request."""

    __slots__ = ()

    def enter(self) -> bool:
        return True

    def queue(self) -> "asyncio.Future[None]":
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place.set_result(None)
        return place

    async def wait(self) -> bool:
        return True

    def leave(self) -> None:
        pass
