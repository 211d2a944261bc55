"""Admission: how many requests a process works on at a time.

Beyond a limit, more requests only wait for the same few database connections until all of them are late. A client that
is turned away at once can try another replica. Waiting for a client, to send its body or to read its response, does not
count, so slow clients cannot keep others out.
"""

from prometheus_client import Counter

from service.observability.instruments import adder

turned_away = Counter(
    "slipway_requests_turned_away",
    "Requests answered with 503, or cut off, because the process runs or holds as much as it may: running requests, "
    "connections, bodies, bulk requests, or responses that clients do not read.",
    ["reason"],
)
for _reason in ("running", "connections", "bodies", "answers", "bulks"):
    turned_away.labels(_reason)
_count = adder(turned_away.labels("running"))


class Admission:
    """Counts the running requests of one process, at most `limit`."""

    __slots__ = ("_limit", "running")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.running = 0

    def enter(self) -> bool:
        """Take a place. False if all are taken."""
        if self.running >= self._limit:
            _count(1)
            return False
        self.running += 1
        return True

    def leave(self) -> None:
        """Give a place back."""
        self.running -= 1


class NoAdmission:
    """Admits every request."""

    __slots__ = ()

    def enter(self) -> bool:
        return True

    def leave(self) -> None:
        pass
