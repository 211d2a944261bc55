"""What a run of a job leaves behind in its lease."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
import structlog
from prometheus_client import REGISTRY

from service.config import Settings
from service.database import Database
from service.jobs.job import Job
from service.jobs.job_runner import JobRunner, Outcome
from service.jobs.leases import Leases

NAME = "leased"
ROW = """
SELECT owner, outcome, ended_at IS NOT NULL AS ended, leased_until > now() AS held FROM job_run WHERE name = $1
"""


def database_at(url: str) -> Database:
    return Database(Settings.model_validate({"database": {"url": url}}))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    made = database_at(database_url)
    await made.start()
    yield made
    await made.fetch("DELETE FROM job_run WHERE name = $1", [NAME])
    await made.stop()


async def kept(database: Database) -> tuple[str | None, bool, bool]:
    """Return the outcome, whether the run has ended, and whether a process holds the lease."""
    (row,) = await database.fetch(ROW, [NAME], reads=True)
    return row["outcome"], row["ended"], row["held"]


def leased(work: object, *, deadline: float = 60) -> Job:
    return Job(NAME, work, 60, once_per_cluster=True, deadline=deadline)  # type: ignore[arg-type]


@contextmanager
def counted(outcome: str) -> Iterator[None]:
    """Expect one run more with this outcome."""
    name, labels = "slipway_job_runs_total", {"name": NAME, "outcome": outcome}
    before = REGISTRY.get_sample_value(name, labels) or 0
    yield
    assert REGISTRY.get_sample_value(name, labels) == before + 1


async def test_row_of_a_run_is_about_that_run_alone(database: Database) -> None:
    """`slipway jobs list` shows it."""
    seen = []

    async def look() -> None:
        seen.append(await kept(database))

    runner = JobRunner(Leases(database))
    for _ in range(2):
        assert await runner.run(leased(look), early=True) is Outcome.SUCCESS
        assert await kept(database) == ("success", True, False)
    assert seen == [(None, False, True)] * 2


async def test_job_that_is_not_due_does_not_run(database: Database) -> None:
    runs = []

    async def note() -> None:
        runs.append(1)

    runner = JobRunner(Leases(database))
    assert await runner.run(leased(note)) is Outcome.SUCCESS
    assert await runner.run(leased(note)) is None
    assert await runner.run(leased(note), early=True) is Outcome.SUCCESS
    assert len(runs) == 2


async def test_lease_that_another_process_has_by_now_stays(database: Database) -> None:
    """A process that was stopped for longer than the deadline ends a run whose lease is not its own any more."""

    async def lose() -> None:
        await database.fetch("UPDATE job_run SET owner = 'other/1' WHERE name = $1", [NAME])

    await JobRunner(Leases(database)).run(leased(lose))
    assert await kept(database) == (None, False, True)


async def test_cancelled_run_gives_its_lease_back(database: Database) -> None:
    begun = asyncio.Event()

    async def endless() -> None:
        begun.set()
        await asyncio.sleep(3600)

    with counted("cancelled"):
        running = asyncio.create_task(JobRunner(Leases(database)).run(leased(endless)))
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert await kept(database) == ("cancelled", True, False)


async def test_run_has_its_outcome_though_its_lease_cannot_be_returned(
    database: Database, database_url: str
) -> None:
    other = database_at(database_url)
    await other.start()
    with structlog.testing.capture_logs() as lines, counted("success"):
        assert await JobRunner(Leases(other)).run(leased(other.stop)) is Outcome.SUCCESS
    (line,) = (line for line in lines if line["event"] == "lease of a job not returned")
    assert (line["job"], bool(line["reason"])) == (NAME, True)
    assert await kept(database) == (None, False, True)


async def test_deadline_ends_only_runs_that_have_a_lease(database: Database) -> None:
    async def slow() -> None:
        await asyncio.sleep(0.02)

    runner = JobRunner(Leases(database))
    with counted("timeout"):
        assert await runner.run(leased(slow, deadline=0.01)) is Outcome.TIMEOUT
    assert await kept(database) == ("timeout", True, False)
    with counted("success"):
        assert await runner.run(Job(NAME, slow, 60, deadline=0.01)) is Outcome.SUCCESS
