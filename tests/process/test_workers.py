"""Several worker processes behind the same two ports."""

import os
import re
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import asyncpg
import httpx2
import pytest

from service import clock
from tests.process.conftest import Command, Serve, age_keys, new_key
from tests.process.served import Served, eventually
from tests.services import Client

LIST = "/api/v1/articles?limit=1"


def workers_of(service: Served) -> list[int]:
    """Return the ids of the master's running children."""
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not tell the children of a process")
    return [int(pid) for pid in children.read_text().split()]


REQUESTS = r'http_requests_total\{.*path="/api/v1/articles".*status_code="200"'
PROBES = "slipway_event_loop_lag_seconds_count"
LIMIT = "slipway_database_connections_limit"


def total(metrics: str, pattern: str) -> float:
    """Return the sum of the samples that match the pattern."""
    lines = metrics.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(pattern, line))


def sample(service: Served, pattern: str) -> float:
    return total(service.admin.get("/metrics").text, pattern)


# gunicorn leaves a socket to the garbage collector.
TWO = {"server__workers": 2, "PYTHONWARNINGS": "error,ignore::ResourceWarning"}


EXPIRY = "slipway_api_key_expiry_timestamp_seconds"
SOON = clock.now() + timedelta(days=3)
RUNS = """
INSERT INTO backup_run (id, kind, ok, seconds, size, ended_at) VALUES
  (gen_random_uuid(), 'create', true, 3, 4711, now()),
  (gen_random_uuid(), 'create', true, 3, 1, now() - interval '1 d'),
  (gen_random_uuid(), 'drill', false, 3, NULL, now()), (gen_random_uuid(), 'drill', true, 3, 1, now() - interval '1 d')
"""


async def record_run(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(RUNS)
    await connection.close()


@pytest.fixture(scope="module")
def own_database(services: Client, worker: int) -> Iterator[str]:
    """A database for the processes of this module."""
    name = f"workers_{worker}"
    yield services.create_database(name, migrated=True)
    services.drop_database(name)


@pytest.fixture(scope="module")
async def lasting(
    tmp_path_factory: pytest.TempPathFactory, own_database: str, redis_url: str
) -> AsyncIterator[Served]:
    """Two workers shared by tests that leave two running. Their keys expire soon, later, earlier and never."""
    for expires_at in (SOON + timedelta(days=1), SOON, clock.now() - timedelta(days=1), None):
        await new_key(own_database, "shop:read", expires_at=expires_at)
    await age_keys(own_database)
    await record_run(own_database)
    home = tmp_path_factory.mktemp("workers")
    service = Served(home, database__url=own_database, redis__url=redis_url, TMPDIR=home, **TWO)
    yield service.ready()
    service.close()


@pytest.fixture
async def known(own_database: str) -> dict[str, str]:
    """The header of a key of that database."""
    return {"Authorization": f"Bearer {await new_key(own_database, 'shop:read')}"}


@pytest.fixture
def pair(serve: Serve, tmp_path: Path) -> Served:
    """Two workers for one test, which stops them."""
    return serve(server__drain_delay=4, TMPDIR=tmp_path, **TWO).ready()


def test_every_worker_reports_the_same_counts(lasting: Served, known: dict[str, str]) -> None:
    before = sample(lasting, REQUESTS)
    for _ in range(40):  # each on a new connection, so that both workers get some
        with httpx2.Client(base_url=lasting.api.base_url, headers=known) as client:
            assert client.get(LIST).status_code == 200
    # A request is counted once its response is sent.
    assert eventually(lambda: sample(lasting, REQUESTS) == before + 40)
    assert eventually(lambda: sample(lasting, r"http_requests_in_progress\{") == 0)
    for _ in range(6):
        with httpx2.Client(base_url=lasting.admin.base_url) as client:
            assert total(client.get("/metrics").text, REQUESTS) == before + 40
    assert sample(lasting, r"slipway_build_info\{") == 1
    assert sample(lasting, r'slipway_dependency_up\{dependency="database"\}') == 1


def test_per_worker_gauges_are_summed(lasting: Served, shared: Served) -> None:
    assert eventually(lambda: sample(lasting, LIMIT) == 16)
    assert eventually(lambda: sample(lasting, r'slipway_database_connections\{state="idle"\}') >= 4)
    before = sample(lasting, PROBES), sample(shared, PROBES)
    # As long as one process takes for twelve, which a busy machine delays likewise.
    assert eventually(lambda: sample(shared, PROBES) >= before[1] + 12, seconds=30)
    of_two, of_one = sample(lasting, PROBES) - before[0], sample(shared, PROBES) - before[1]
    assert of_two > 1.3 * of_one, "one worker alone says how late its loop is"


def test_log_level_changes_in_every_worker_without_a_restart(
    lasting: Served, command: Command, own_database: str
) -> None:
    _send_ten(lasting, "before")
    assert eventually(lambda: _access_lines(lasting, "before") == 10)
    for arguments, level in (
        (("set", "logging_level", "warning"), "warning"),
        (("unset", "logging_level"), "info"),
    ):
        done = command("features", *arguments, database__url=own_database)
        assert done.exit_code == 0, done.output
        assert eventually(partial(_changes, lasting, level))  # tests/faults/test_features.py times it
        _send_ten(lasting, level)
    assert eventually(lambda: _access_lines(lasting, "info") == 10)
    # Each worker writes its lines in order, and both have written that the level changed back.
    assert _access_lines(lasting, "warning") == 0


def _changes(service: Served, level: str) -> bool:
    """Whether both workers have changed to the level."""
    line = {"event": "a setting changed", "setting": "SLIPWAY_LOGGING__LEVEL", "value": level}
    return len(service.lines(**line)) == 2


def _send_ten(service: Served, name: str) -> None:
    """Send ten requests, each on a new connection, which any worker may get."""
    headers = {"X-Request-Id": f"live-setting-{name}"}
    for _ in range(10):
        with httpx2.Client(base_url=service.api.base_url, headers=headers) as client:
            assert client.get("/health").status_code == 200


def _access_lines(service: Served, name: str) -> int:
    return len(service.lines(event="request", request_id=f"live-setting-{name}"))


def test_every_worker_reports_the_next_key_expiry_and_the_last_backup(lasting: Served) -> None:
    assert eventually(lambda: lasting.metric(EXPIRY) == SOON.timestamp())
    assert eventually(lambda: lasting.metric("slipway_backup_last_size_bytes") == 4711)
    assert lasting.metric("slipway_backup_drill_success") == 0


def test_dead_worker_is_replaced_and_its_counts_are_kept(lasting: Served, known: dict[str, str]) -> None:
    counted = sample(lasting, REQUESTS) + 1
    assert lasting.api.get(LIST, headers=known).status_code == 200
    assert eventually(lambda: sample(lasting, REQUESTS) == counted)
    before = workers_of(lasting)
    assert len(before) == 2
    folder = next(lasting.home.glob("slipway-metrics-*"))
    (folder / "counter_1.db").touch()  # as a worker leaves it for a moment when it starts
    os.kill(before[1], signal.SIGINT)  # as Ctrl-C in a terminal, which the master handles
    os.kill(before[0], signal.SIGKILL)
    assert eventually(lambda: len(now := workers_of(lasting)) == 2 and before[0] not in now)
    lasting.ready()
    assert before[1] in workers_of(lasting)
    assert sample(lasting, REQUESTS) == counted
    assert eventually(lambda: sample(lasting, LIMIT) == 16)
    assert eventually(lambda: sample(lasting, r"slipway_event_loop_tasks") > 0)
    assert lasting.lines(logger="gunicorn.error", level="error")


def test_sigterm_drains_every_worker_and_cleans_up(
    pair: Served, headers: dict[str, str], tmp_path: Path
) -> None:
    workers = workers_of(pair)
    assert len(list(tmp_path.glob("slipway-metrics-*"))) == 1
    failed: list[object] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                with httpx2.Client(base_url=pair.api.base_url, headers=headers) as client:
                    response = client.get(LIST)
                if response.status_code != 200:
                    failed.append(response.status_code)
            except httpx2.TransportError as error:
                failed.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    pair.process.send_signal(signal.SIGTERM)
    assert eventually(lambda: pair.probe("/readyz") == 503, seconds=1.5)
    assert pair.probe("/livez") == 200
    # Each of the two notices it separately.
    assert eventually(
        lambda: pair.api.get(LIST, headers=headers).headers.get("connection") == "close", seconds=1
    )
    done.set()
    asking.join()
    assert failed == []
    assert pair.process.wait(20) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert list(tmp_path.glob("slipway-metrics-*")) == []


def test_workers_end_when_their_master_is_killed(pair: Served) -> None:
    workers = workers_of(pair)
    pair.process.kill()
    assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
