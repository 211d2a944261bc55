"""The only clock of the service, so that tests can move time."""

import time
from datetime import UTC, datetime
from functools import partial

now = partial(datetime.now, UTC)
"""The current time in UTC."""


unix_ns = time.time_ns  # not wrapped: a creation asks twice
"""Return nanoseconds since 1970-01-01T00:00:00Z."""


monotonic = time.perf_counter  # not wrapped: a request asks six times
"""Seconds of a clock that never goes back, for durations and timeouts."""
