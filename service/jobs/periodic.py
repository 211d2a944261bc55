"""Periodic background jobs, and a probe of the event loop's lag."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence

import structlog
from prometheus_client import Gauge, Histogram

from service import clock
from service.ending import end
from service.jobs.job import Job
from service.jobs.job_runner import JobRunner

log = structlog.get_logger(__name__)

PROBE_SECONDS = 0.25
GRACE_SECONDS = 3.0
"""Part of the 5 seconds that a pod has after its last request."""

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


class Periodic:
    """Runs jobs while the process serves. `jobs` are the service's own, `team` those of domains.

    Once `draining` returns true, no job of a domain begins. One that is running at the end has `GRACE_SECONDS` left.
    """

    def __init__(
        self,
        runner: JobRunner,
        jobs: Sequence[Job],
        team: Sequence[Job] = (),
        *,
        draining: Callable[[], bool] = lambda: False,
    ) -> None:
        self._runner = runner
        self._jobs = jobs
        self._team = team
        self._draining = draining
        self._working: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the jobs and the probe while the block runs."""
        own = [asyncio.create_task(self._repeat(job)) for job in self._jobs]
        own.append(asyncio.create_task(_probe_loop()))
        team = [asyncio.create_task(self._repeat(job, self._draining)) for job in self._team]
        try:
            yield
        finally:
            working = self._working.intersection(team)
            await end(task for task in team if task not in working)
            if working:
                await asyncio.wait(working, timeout=GRACE_SECONDS)
            await end([*team, *own])

    async def _repeat(self, job: Job, ended: Callable[[], bool] = lambda: False) -> None:
        pause = job.first
        task = asyncio.current_task()
        assert task is not None
        while not task.cancelling():  # an error in a job's `finally` takes the place of its cancellation
            # Jitter: replicas that start together must not run their jobs at the same moments.
            await asyncio.sleep(pause * random.uniform(0.9, 1.1))  # noqa: S311  # jitter, no secret
            if ended():
                return
            pause = job.seconds
            self._working.add(task)
            try:
                await self._run(job)
            finally:
                self._working.discard(task)

    async def _run(self, job: Job) -> None:
        try:
            await self._runner.run(job)
        except Exception as error:  # noqa: BLE001  # the database, asked for the lease; the next turn asks again
            log.warning(
                "lease of a job not available", job=job.name, reason=str(error) or type(error).__name__
            )


async def _probe_loop() -> None:
    while True:
        began = clock.monotonic()
        await asyncio.sleep(PROBE_SECONDS)
        lag.observe(max(0.0, clock.monotonic() - began - PROBE_SECONDS))
        tasks.set(len(asyncio.all_tasks()))
