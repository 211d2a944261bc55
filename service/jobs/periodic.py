"""Periodic background jobs, and a probe of the event loop's lag."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import structlog
from prometheus_client import Gauge, Histogram

from service import clock
from service.actor import Actor, acting_as

log = structlog.get_logger(__name__)

PROBE_SECONDS = 0.25

lag = Histogram(
    "slipway_event_loop_lag_seconds",
    "How much later than it asked for a sleeping task was woken, in seconds; four times a second.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
tasks = Gauge(
    "slipway_event_loop_tasks",
    "Tasks of the event loop that have not ended; four times a second. They grow when something waits forever.",
    multiprocess_mode="livesum",
)


@dataclass(frozen=True, slots=True)
class Job:
    """Runs `work` every `seconds`, first after `first` seconds. Row history shows `job:<name>`."""

    name: str
    work: Callable[[], Awaitable[None]]
    seconds: float
    first: float = 0.0


@contextlib.asynccontextmanager
async def periodically(*jobs: Job) -> AsyncIterator[None]:
    """Run the jobs and the probe while the block runs."""
    running = [asyncio.create_task(_repeat(job)) for job in jobs]
    running.append(asyncio.create_task(_probe_loop()))
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _repeat(job: Job) -> None:
    pause = job.first
    while True:
        # Jitter: replicas that start together must not run their jobs at the same moments.
        await asyncio.sleep(pause * random.uniform(0.9, 1.1))  # noqa: S311  # jitter, no secret
        pause = job.seconds
        try:
            with acting_as(Actor(f"job:{job.name}")):
                await job.work()
        except Exception:
            log.exception("periodic work failed", work=job.work.__qualname__)


async def _probe_loop() -> None:
    while True:
        began = clock.monotonic()
        await asyncio.sleep(PROBE_SECONDS)
        lag.observe(max(0.0, clock.monotonic() - began - PROBE_SECONDS))
        tasks.set(len(asyncio.all_tasks()))
