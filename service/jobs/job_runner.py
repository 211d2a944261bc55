"""Runs a job once: under its name, with its lease and its deadline, counted."""

import asyncio
from enum import StrEnum

import structlog

from service import clock
from service.actor import EVERY_ROW, Actor, acting_as
from service.jobs.job import Job
from service.jobs.job_metrics import runs, seconds, succeeded_at
from service.jobs.leases import Leases

log = structlog.get_logger(__name__)

RELEASE_SECONDS = 2.0  # most time to give a lease back


class Outcome(StrEnum):
    """How a run ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


class JobRunner:
    """Runs jobs in this process."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases

    async def run(self, job: Job, *, early: bool = False) -> Outcome | None:
        """Run the job unless it runs in another process or is not due; `early` runs it before its time.

        Return the outcome, None if it did not run. Its errors are logged. Raises only `CancelledError`, and what the
        database raises when the lease is asked for.
        """
        with acting_as(Actor(f"job:{job.name}", rows=EVERY_ROW)):
            if not job.once_per_cluster:
                return await self._measured(job, deadline=None)
            if not await self._leases.take(job, early=early):
                return None
            outcome = Outcome.CANCELLED
            try:
                outcome = await self._measured(job, deadline=job.deadline)
            finally:
                await self._release(job, outcome)
            return outcome

    async def _measured(self, job: Job, *, deadline: float | None) -> Outcome:
        began = clock.monotonic()
        outcome = Outcome.CANCELLED
        try:
            outcome = await _outcome(job, deadline)
        finally:
            runs.labels(job.name, outcome).inc()
            seconds.labels(job.name).inc(clock.monotonic() - began)
        if outcome is Outcome.SUCCESS:
            succeeded_at.labels(job.name).set(clock.now().timestamp())
        return outcome

    async def _release(self, job: Job, outcome: Outcome) -> None:
        """Give the lease back, also if this task is cancelled. Without the database it ends at its deadline."""
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._leases.end(job, outcome)
        except Exception as error:  # noqa: BLE001  # whatever fails, the run has ended
            log.warning(
                "lease of a job not returned", job=job.name, reason=str(error) or type(error).__name__
            )


async def _outcome(job: Job, deadline: float | None) -> Outcome:
    try:
        async with asyncio.timeout(deadline) as limit:
            await job.work()
    except TimeoutError:
        if limit.expired():
            log.exception("job took too long", job=job.name, deadline=deadline)
            return Outcome.TIMEOUT
        log.exception("job failed", job=job.name)
        return Outcome.FAILURE
    except Exception:
        log.exception("job failed", job=job.name)
        return Outcome.FAILURE
    return Outcome.SUCCESS
