"""Pauses between attempts are jittered: processes that lost a server together do not come back to it together."""

import asyncio
import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import asyncpg
import pytest

from service.cache import redis_client as cache
from service.config import RedisSettings, Settings
from service.database import Database, fast_pool
from service.http.problems import Busy
from service.jobs import periodic
from service.jobs.job import Job
from service.jobs.job_runner import JobRunner
from service.jobs.leases import Leases
from service.migrations import migration_connection as migrations
from service.migrations import runner
from service.migrations.errors import LockedError
from service.resources import retries
from tests.conftest import DatabaseFactory

NOBODY = "127.0.0.1:1"
ENOUGH = 8  # pauses of a process
Pauses = list[float]
Record = Callable[[ModuleType], Pauses]


class Sleepless:
    """asyncio for one module, whose pauses are noted and take no time. The last one takes forever.

    Tasks that run already are not of this test: an application that other tests of the process share has jobs too.
    """

    def __init__(self, pauses: Pauses) -> None:
        self._pauses = pauses
        self._others = asyncio.all_tasks() - {asyncio.current_task()}

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        if asyncio.current_task() in self._others:
            await asyncio.sleep(seconds)
            return
        self._pauses.append(seconds)
        await asyncio.sleep(0 if len(self._pauses) < ENOUGH else 3600)


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Record:
    """`record(module)` is the list of pauses that the module makes from now on."""

    def recorded(module: ModuleType) -> Pauses:
        pauses: Pauses = []
        monkeypatch.setattr(module, "asyncio", Sleepless(pauses))
        return pauses

    return recorded


async def enough(pauses: Pauses) -> None:
    async with asyncio.timeout(10):
        while len(pauses) < ENOUGH:  # noqa: ASYNC110  # a list does not announce changes
            await asyncio.sleep(0.001)


def jittered(pauses: Pauses, expected: Pauses, spread: float) -> bool:
    """Whether each pause is the expected one, more or less, and no two are off by the same."""
    factors = [pause / usual for pause, usual in zip(pauses, expected, strict=True)]
    assert all(1 - spread <= factor <= 1 + spread for factor in factors), factors
    return len(set(factors)) == len(factors) and max(factors) - min(factors) > spread / 10


async def test_redis_probes_have_jitter(record: Record) -> None:
    pauses = record(cache)
    redis = cache.Redis(
        RedisSettings.model_validate({"url": f"redis://{NOBODY}/0", "retry_after": 5, "connect_timeout": 1})
    )
    await redis.start()
    await enough(pauses)
    await redis.close()
    assert jittered(pauses, [5.0] * ENOUGH, 0.2)


async def test_database_attempts_back_off_with_jitter(record: Record) -> None:
    pauses = record(fast_pool)
    database = Database(Settings.model_validate({"database": {"url": f"postgresql://a:b@{NOBODY}/c"}}))
    await database.start()
    await enough(pauses)
    await database.stop()
    doubled = (fast_pool.RETRY_FIRST * 2**n for n in itertools.count())
    usual = [min(pause, fast_pool.RETRY_MOST) for pause in itertools.islice(doubled, ENOUGH)]
    assert usual[-1] == fast_pool.RETRY_MOST
    assert jittered(pauses, usual, 0.5)


async def test_periodic_jobs_have_jitter(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    async def probe_nothing() -> None:
        """The probe of the loop sleeps too."""

    async def work() -> None:
        """Takes no time."""

    pauses = record(periodic)
    monkeypatch.setattr(periodic, "_probe_loop", probe_nothing)
    database = Database(Settings.model_validate({"database": {"url": f"postgresql://a:b@{NOBODY}/c"}}))
    jobs = JobRunner(Leases(database))
    async with periodic.Periodic(jobs, [Job("count", work, seconds=60, first=10)]).running():
        await enough(pauses)
    assert jittered(pauses, [10.0, *[60.0] * (ENOUGH - 1)], 0.1)


async def test_migrations_that_wait_for_the_server(record: Record) -> None:
    pauses = record(migrations)
    nowhere = Settings.model_validate({"database": {"url": f"postgresql://a:b@{NOBODY}/c"}})
    waiting = asyncio.create_task(runner.check(nowhere, wait=60))
    await enough(pauses)
    waiting.cancel()
    assert jittered(pauses, [migrations.POLL] * ENOUGH, 0.5)


async def test_migrations_that_wait_for_a_lock(
    record: Record, fresh_database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_locked_out(*_: object) -> None:
        raise LockedError("the table is in use")

    pauses = record(runner)
    monkeypatch.setattr(runner, "_run", be_locked_out)
    empty = Settings.model_validate(
        {"database": {"url": fresh_database(migrated=False), "migration_lock_timeout": 4}}
    )
    waiting = asyncio.create_task(runner.upgrade(empty, wait=60))
    await enough(pauses)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    waits = [min(runner.FIRST_LOCK_WAIT * 2**n, 4) for n in range(1, ENOUGH + 1)]
    assert waits[-1] == 4
    assert jittered(pauses, [max(migrations.POLL, wait) for wait in waits], 0.5)


async def test_transactions_that_postgresql_rolled_back(record: Record) -> None:
    async def lose() -> None:
        raise Busy("again") from asyncpg.DeadlockDetectedError()

    pauses = record(retries)
    for _ in range(2):
        with pytest.raises(Busy):
            await retries.retry_rolled_back(lose)
    most = [retries._PAUSE * number for number in (1, 2, 3)] * 2
    assert all(0 <= pause < longest for pause, longest in zip(pauses, most, strict=True))
    assert len(set(pauses)) == len(pauses)
