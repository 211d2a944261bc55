"""The only clock of the service, so that tests can move time."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def unix_ms() -> int:
    """Return milliseconds since 1970-01-01T00:00:00Z."""
    return time.time_ns() // 1_000_000


def monotonic() -> float:
    """Return seconds of a clock that never goes back, for durations and timeouts."""
    return time.perf_counter()
