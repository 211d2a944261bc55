"""Jobs that one process of a cluster runs, in started processes and by `slipway jobs`."""

import itertools
import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from service.database import Database
from service.resources.purge_expired import ExpiredRows
from tests.backup.conftest import sql
from tests.conftest import DatabaseFactory
from tests.engine.api import settings_for
from tests.process.served import Served, eventually
from tests.process.test_domain import Shop, shop

COUNTED = """
SELECT (row ->> 'description')::timestamptz AS began, actor FROM row_history WHERE row ->> 'name' = 'Counted'
ORDER BY began
"""
LAST_SUCCESS = 'slipway_job_last_success_timestamp_seconds{name="count"}'
RECORD = """
INSERT INTO idempotency_record (principal, key, fingerprint, status, headers, body, created_at)
VALUES ('key:x', $1, '\\x00', 201, '{}', '', now() - $2::text::interval)
"""
RUN = """
INSERT INTO job_run (name, owner, began_at, leased_until)
VALUES ($1, 'host-1', now() - interval '1 hour', now() - interval '1 minute')
"""
KEY = """
INSERT INTO api_key (id, name, prefix, secret_hash, scopes, expires_at)
VALUES (gen_random_uuid(), $1, $1, '', '{}', now() - $2::text::interval)
"""
Start = Callable[..., Served]


@pytest.fixture
def url(fresh_database: DatabaseFactory) -> str:
    return fresh_database()


@pytest.fixture
def start(url: str, tmp_path: Path) -> Iterator[Start]:
    """Starts processes of one cluster."""
    started: list[Served] = []

    def begin(**settings: object) -> Served:
        home = tmp_path / f"shop-{len(started)}"
        started.append(Shop(home, database__url=url, redis__enabled="false", shop__every="60", **settings))
        return started[-1].listening()

    yield begin
    for service in started:
        service.close()


def listed(home: Path, url: str) -> dict[str, Any]:
    """Return the job `count` as `slipway jobs list` shows it."""
    told = shop(home, "jobs", "list", "--json", database__url=url)
    assert told.returncode == 0, told.stderr
    return next(job for job in json.loads(told.stdout) if job["name"] == "count")


async def counted(url: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(COUNTED))
    finally:
        await connection.close()


def pauses(runs: list[asyncpg.Record]) -> list[float]:
    """Return the seconds between the beginnings of two leases; rows are written any time after that."""
    return [
        (later["began"] - earlier["began"]).total_seconds() for earlier, later in itertools.pairwise(runs)
    ]


def ended(service: Served, outcome: str) -> float:
    return service.metric(f'slipway_job_runs_total{{name="count",outcome="{outcome}"}}') or 0


async def test_job_runs_once_for_all_processes(start: Start, url: str) -> None:
    services = [start(shop__count_every="0.5") for _ in range(2)]
    assert eventually(lambda: sum(ended(one, "success") for one in services) >= 5)
    last = max(one.metric(LAST_SUCCESS) or 0 for one in services)
    assert 0 <= time.time() - last < 60
    purged = 'slipway_job_runs_total{name="purge-expired",outcome="success"}'
    assert [one.metric(purged) for one in services] == [None, None], "a rollout has other work to do"
    for one in services:
        assert one.stop() == 0
    runs = await counted(url)
    assert {run["actor"] for run in runs} == {"job:count"}
    assert min(pauses(runs)) >= 0.5, pauses(runs)


async def test_job_of_a_lost_process_runs_elsewhere_after_its_deadline(
    start: Start, url: str, tmp_path: Path
) -> None:
    # Long enough for two commands on a busy machine.
    settings = {"shop__count_every": "0.2", "shop__count_takes": "60", "shop__count_deadline": "4"}
    lost = start(**settings)
    first = eventually(lambda: found if (found := listed(tmp_path, url))["running"] else {})
    refused = shop(tmp_path, "jobs", "run", "count", database__url=url)
    assert (refused.returncode, refused.stderr) == (
        1, "slipway: count is running in another process; `slipway jobs list` shows where\n",
    )  # fmt: skip
    lost.process.kill()
    other = start(**settings)
    assert eventually(lambda: ended(other, "timeout") >= 1)
    assert listed(tmp_path, url)["owner"] != first["owner"]
    assert min(pauses(await counted(url))) > 3.9  # the process has a clock of its own
    assert other.lines(event="job took too long", job="count", level="error")
    assert (other.metric('slipway_job_run_seconds_total{name="count"}') or 0) > 3.9
    assert other.metric(LAST_SUCCESS) is None


async def test_running_job_ends_before_the_process_does(start: Start, url: str, tmp_path: Path) -> None:
    service = start(shop__count_every="0.2", shop__count_takes="1.5")
    assert eventually(lambda: service.admin.get("/livez").status_code == 200)
    assert eventually(lambda: listed(tmp_path, url)["running"])
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(20) == 0
    found = listed(tmp_path, url)
    assert (found["outcome"], found["running"]) == ("success", False)


def test_command_runs_a_job_before_its_time(url: str, tmp_path: Path) -> None:
    assert listed(tmp_path, url)["began_at"] is None
    for _ in range(2):
        done = shop(tmp_path, "jobs", "run", "count", database__url=url)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
    lines = shop(tmp_path, "jobs", "list", database__url=url).stdout.splitlines()
    assert lines[0] == "deliver\tevery 30 s\tin each process\t"
    assert lines[1].startswith("count\tevery 3600 s\tonce per cluster\tsuccess, began 20")
    assert lines[2] == "purge-expired\tevery 3600 s\tonce per cluster\thas not run"
    assert shop(tmp_path, "features", "set", "greeting", "closed", database__url=url).returncode == 0
    failed = shop(tmp_path, "jobs", "run", "count", database__url=url, shop__count_takes="-1")
    assert (failed.returncode, failed.stderr.splitlines()[-1]) == (1, "slipway: count ended with failure")
    assert "nothing to count, closed" in failed.stderr
    assert listed(tmp_path, url)["outcome"] == "failure"
    unknown = shop(tmp_path, "jobs", "run", "cuont", database__url=url)
    assert (unknown.returncode, unknown.stderr) == (
        2, "slipway: no job is called cuont; jobs: count, deliver, purge-expired\n",
    )  # fmt: skip


def test_list_shows_lost_runs_and_none_of_a_job_of_each_process(url: str, tmp_path: Path) -> None:
    sql(url, RUN, "count")
    sql(url, RUN, "deliver")  # as of a version in which it ran once per cluster
    lines = shop(tmp_path, "jobs", "list", database__url=url).stdout.splitlines()
    assert lines[1].startswith("count\tevery 3600 s\tonce per cluster\tlost, began 20")
    assert lines[1].endswith(" in host-1")
    told = json.loads(shop(tmp_path, "jobs", "list", "--json", database__url=url).stdout)
    assert [(job["name"], job["owner"], job["running"]) for job in told[:2]] == [
        ("deliver", None, False), ("count", "host-1", False),
    ]  # fmt: skip


async def test_service_purges_what_has_expired(url: str, tmp_path: Path) -> None:
    """The job is the service's own, and one process of all runs it. Without days, keys are kept forever."""
    connection = await asyncpg.connect(url)
    settings = settings_for(url)
    database = Database(settings)
    await database.start()
    try:
        for name, age in (("old", "3 days"), ("new", "1 hour")):
            await connection.execute(RECORD, name, age)
            await connection.execute(KEY, name, age)
        assert await ExpiredRows(database, settings).purge_keys() == 0
        done = shop(tmp_path, "jobs", "run", "purge-expired", database__url=url, retention__key_days="1")
        assert done.returncode == 0, done.stderr
        assert await connection.fetchval("SELECT string_agg(key, ',') FROM idempotency_record") == "new"
        assert await connection.fetchval("SELECT string_agg(name, ',') FROM api_key") == "new"
    finally:
        await database.stop()
        await connection.close()
