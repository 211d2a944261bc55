"""The requests of a client and their responses, in the order of their start."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.faults.connection import Response

AROUND = 6  # events to show before and after a violation


@dataclass(slots=True)
class Event:
    """A request and its response. Times come from `time.monotonic`, in seconds."""

    number: int
    operation: str
    request_id: str
    item: str = ""
    """Id of the item that was asked for, or that the response names."""
    mark: str = ""
    """A text that this request alone writes."""
    key: str = ""
    """Its Idempotency-Key."""
    fresh: bool = False
    """On a connection of its own, which was opened for it."""
    start: float = 0.0
    end: float = 0.0
    response: Response | None = None
    error: str = ""
    """Why there is no whole response."""
    version: int = 0
    """Version that the response names."""

    @property
    def status(self) -> int:
        """The status of the response, or 0 without a complete one."""
        return self.response.status if self.response else 0

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def seconds(self) -> float:
        """What it took, or has taken so far."""
        return (self.end or time.monotonic()) - self.start

    def line(self, zero: float) -> str:
        """Return a readable line, with times relative to `zero`."""
        what = f"{self.status} {self.response.digest}" if self.response else self.error or "still running"
        way = "fresh" if self.fresh else "kept"
        return (
            f"#{self.number} {self.start - zero:8.3f} +{self.seconds:6.3f} s {way:5} {self.operation:6} "
            f"{self.item or '-'} v{self.version} {what}"
        )


@dataclass(slots=True)
class History:
    """The events of one test."""

    events: list[Event] = field(default_factory=list)

    def add(self, operation: str, *, fresh: bool, item: str = "", mark: str = "", key: str = "") -> Event:
        number = len(self.events)
        request_id = f"fault-{id(self):x}-{number}"
        self.events.append(Event(number, operation, request_id, item, mark, key, fresh))
        return self.events[-1]

    def failures(self) -> list[Event]:
        """Return requests without a successful response."""
        return [event for event in self.events if not event.good]

    def acknowledged(self, *operations: str) -> list[Event]:
        return [event for event in self.events if event.good and event.operation in operations]

    def counts(self) -> dict[int, int]:
        """Return the number of events by status."""
        return dict(sorted(Counter(event.status for event in self.events).items()))

    def latency(self, share: float, which: Callable[[Event], bool] = lambda event: event.good) -> float:
        """Return the seconds within which this share of the events was answered, or 0 without events."""
        return percentile((event.seconds for event in self.events if which(event)), share)

    def around(self, events: Iterable[Event]) -> str:
        """Return the lines of the first of these events and of the events around it."""
        first = next(iter(events), None)
        if first is None:
            return ""
        zero = self.events[0].start
        near = self.events[max(0, first.number - AROUND) : first.number + AROUND + 1]
        return "\n".join((">" if event is first else " ") + event.line(zero) for event in near)


def percentile(seconds: Iterable[float], share: float) -> float:
    """Return the quantile of the values at this share, or 0 without values."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
