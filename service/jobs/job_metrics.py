"""Metrics of periodic jobs. The label is not `job`, which Prometheus gives to the target of a scrape."""

from prometheus_client import Counter, Gauge

runs = Counter(
    "slipway_job_runs",
    "Runs of a periodic job that ended, by outcome: success, failure, timeout, cancelled.",
    ["name", "outcome"],
)
seconds = Counter("slipway_job_run_seconds", "Time that runs of a periodic job took, in seconds.", ["name"])
succeeded_at = Gauge(
    "slipway_job_last_success_timestamp_seconds",
    "When a periodic job last succeeded in this process, in seconds since 1970.",
    ["name"],
    multiprocess_mode="max",
)
