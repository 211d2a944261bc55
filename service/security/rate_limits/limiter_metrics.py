"""Metrics of the rate limiter."""

from prometheus_client import Counter, Gauge

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


def initialise_decisions(policy: str) -> None:
    """Start the counters of a policy at 0, so that the first burst shows as an increase."""
    for decision, counted_by in _OUTCOMES:
        decisions.labels(policy, decision, counted_by)
