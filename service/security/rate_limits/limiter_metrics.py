"""Metrics of the rate limiter."""

from collections.abc import Callable
from functools import cache

from prometheus_client import Counter, Gauge

from service.observability.instruments import adder

decisions = Counter(
    "slipway_limiter_decisions", "Decisions of the rate limiter.", ["policy", "decision", "counted_by"]
)
processes = Gauge(
    "slipway_limiter_processes",
    "Processes that share the limits, as far as this one knows. Without Redis, it takes one of so many shares.",
    multiprocess_mode="livemax",
)
_OUTCOMES = (
    ("allowed", "lease"), ("allowed", "redis"), ("refused", "redis"), ("allowed", "process"), ("refused", "process"),
)  # fmt: skip


@cache
def decision(policy: str, outcome: str, counted_by: str) -> Callable[[float], None]:
    """Return what adds to one kind of decision; to find it by its labels costs more than to count."""
    return adder(decisions.labels(policy, outcome, counted_by))


def initialise_decisions(policy: str) -> None:
    """Start the counters of a policy at 0, so that the first burst shows as an increase."""
    for outcome, counted_by in _OUTCOMES:
        decision(policy, outcome, counted_by)
