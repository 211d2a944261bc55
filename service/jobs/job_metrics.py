"""Metrics of periodic jobs."""

from prometheus_client import Counter, Gauge

runs = Counter(
    "slipway_job_runs",
    "Runs of a periodic job that ended, by outcome: success, failure, timeout, cancelled.",
    ["job", "outcome"],
)
seconds = Counter("slipway_job_run_seconds", "Time that runs of a periodic job took, in seconds.", ["job"])
succeeded_at = Gauge(
    "slipway_job_last_success_timestamp_seconds",
    "When a periodic job last succeeded in this process, in seconds since 1970.",
    ["job"],
    multiprocess_mode="max",
)
