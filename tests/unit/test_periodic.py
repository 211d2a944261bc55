"""Periodic jobs at the end of a process and in trouble, and the probe of the event loop."""

import asyncio
import time
from collections.abc import Callable

import asyncpg
import pytest
import structlog
from prometheus_client import REGISTRY

from service import actor, ending
from service.config import Settings
from service.database import Database
from service.jobs import job_runner, periodic
from service.jobs.job import Job
from service.jobs.job_runner import JobRunner, Outcome
from service.jobs.leases import Leases
from service.jobs.periodic import Periodic
from tests.conftest import DatabaseFactory

SOON = 0.001


class Work:
    """The work of a job, which takes forever."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.cancelled = False

    async def __call__(self) -> None:
        self.begun.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.cancelled = True
            raise


@pytest.fixture
def runner() -> JobRunner:
    """Runs jobs without a database, which only leases need."""
    return JobRunner(
        Leases(Database(Settings.model_validate({"database": {"url": "postgresql://a:b@127.0.0.1:1/c"}})))
    )


def sample(name: str, labels: dict[str, str] | None = None) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # a metric tells nobody
            await asyncio.sleep(SOON)


async def test_job_of_a_domain_does_not_begin_while_the_process_drains(runner: JobRunner) -> None:
    ran: list[str] = []

    async def note(who: str) -> None:
        ran.append(who)

    own = [Job("own", lambda: note("own"), SOON)]
    team = [Job("team", lambda: note("team"), SOON)]
    async with Periodic(runner, own, team, draining=lambda: True).running():
        await until(lambda: len(ran) >= 3)
    assert set(ran) == {"own"}


async def test_running_job_of_a_domain_has_a_bounded_time_left(
    runner: JobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(periodic, "GRACE_SECONDS", 0.2)
    work = Work()
    ended = {"name": "endless", "outcome": "cancelled"}
    before = sample("slipway_job_runs_total", ended)
    async with Periodic(runner, [], [Job("endless", work, 60)]).running():
        await work.begun.wait()
        began = time.monotonic()
    assert 0.2 <= time.monotonic() - began < 10
    assert work.cancelled
    assert sample("slipway_job_runs_total", ended) == before + 1


async def test_own_and_waiting_jobs_end_at_once(runner: JobRunner) -> None:
    work = Work()
    began = time.monotonic()
    async with Periodic(runner, [Job("own", work, 60)], [Job("later", work, 60, first=60)]).running():
        await work.begun.wait()
    assert time.monotonic() - began < periodic.GRACE_SECONDS
    assert work.cancelled


async def test_job_whose_cleanup_fails_ends_at_once(runner: JobRunner) -> None:
    """Its error takes the place of the cancellation, which is then lost."""
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            raise RuntimeError("the cleanup failed")

    with structlog.testing.capture_logs() as lines:
        async with asyncio.timeout(ending.AGAIN_SECONDS):
            async with Periodic(runner, [Job("untidy", work, SOON)]).running():
                await begun.wait()
    assert {line["event"] for line in lines} == {"job failed"}


async def test_job_whose_lease_is_not_available_is_tried_again(runner: JobRunner) -> None:
    with structlog.testing.capture_logs() as lines:
        async with Periodic(runner, [Job("leased", Work(), SOON, once_per_cluster=True)]).running():
            await until(lambda: len(lines) >= 2)
    assert {line["event"] for line in lines} == {"lease of a job not available"}
    assert all(line["job"] == "leased" and line["reason"] for line in lines)


async def test_lease_that_cannot_be_returned_delays_nothing_for_long(
    fresh_database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_runner, "RELEASE_SECONDS", 0.2)
    url = fresh_database()
    database = Database(
        Settings.model_validate({"database": {"url": url, "lock_timeout": 60, "statement_timeout": 60}})
    )
    await database.start()
    holder = await asyncpg.connect(url)

    async def lock() -> None:
        await holder.execute("BEGIN; LOCK TABLE job_run")

    try:
        with structlog.testing.capture_logs() as lines:
            async with asyncio.timeout(20):
                outcome = await JobRunner(Leases(database)).run(
                    Job("locked", lock, 60, once_per_cluster=True)
                )
    finally:
        await holder.close()
        await database.stop()
    assert outcome is Outcome.SUCCESS
    assert [(line["event"], line["job"]) for line in lines] == [("lease of a job not returned", "locked")]


async def test_timeout_that_a_job_raises_itself_is_a_failure(runner: JobRunner) -> None:
    async def give_up() -> None:
        assert actor.name() == "job:impatient"
        raise TimeoutError

    with structlog.testing.capture_logs() as lines:
        assert await runner.run(Job("impatient", give_up, 60)) is Outcome.FAILURE
    assert [(line["event"], line["job"]) for line in lines] == [("job failed", "impatient")]


async def test_lag_is_what_a_wait_takes_beyond_its_time(
    runner: JobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(periodic, "PROBE_SECONDS", 0.05)
    name = "slipway_event_loop_lag_seconds"

    async def probed(times: int) -> float:
        """Return the lag of some probes."""
        count, lag = sample(f"{name}_count"), sample(f"{name}_sum")
        await until(lambda: sample(f"{name}_count") >= count + times)
        return sample(f"{name}_sum") - lag

    async with Periodic(runner, []).running():
        await probed(1)
        assert min([await probed(1) for _ in range(10)]) < 0.04
        blocking = asyncio.create_task(probed(1))
        await asyncio.sleep(0)
        time.sleep(0.4)  # noqa: ASYNC251  # as code that blocks the loop
        assert await blocking > 0.3


async def test_tasks_of_the_loop_are_counted(runner: JobRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(periodic, "PROBE_SECONDS", SOON)
    others = len(asyncio.all_tasks())  # of the whole session, whose loop this is
    async with Periodic(runner, []).running():
        waiting = [asyncio.create_task(asyncio.sleep(60)) for _ in range(100)]
        await until(lambda: sample("slipway_event_loop_tasks") >= 50 + others)
        for task in waiting:
            task.cancel()
        await until(lambda: sample("slipway_event_loop_tasks") < 50 + others)
