"""The only clock of the service, so that tests can move time."""

import time
from datetime import UTC, datetime
from functools import partial

now = partial(datetime.now, UTC)
"""The current time in UTC."""


def unix_ms() -> int:
    """Return milliseconds since 1970-01-01T00:00:00Z."""
    return time.time_ns() // 1_000_000


monotonic = time.perf_counter  # not wrapped: a request asks six times
"""Seconds of a clock that never goes back, for durations and timeouts."""
