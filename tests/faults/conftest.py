"""Servers for each worker, and the system under test of each test."""

import itertools
import os
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.faults.measurements import Measurements
from tests.faults.server_thread import in_server_thread
from tests.faults.servers import Postgres, Redis
from tests.faults.system import System, start_in_thread

SEED = "SLIPWAY_FAULT_SEED"
PASSED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    return report


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """The folder for data of servers. When the tests run as root, PostgreSQL runs as another user, who cannot enter
    pytest's folders."""
    with tempfile.TemporaryDirectory(prefix="slipway-faults-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@pytest.fixture(scope="session")
async def postgres(servers_folder: Path) -> AsyncIterator[Postgres]:
    server = Postgres(servers_folder / "postgres")
    await in_server_thread(server.start)
    yield server
    server.resume()
    await in_server_thread(server.stop)


@pytest.fixture(scope="session")
async def redis(servers_folder: Path) -> AsyncIterator[Redis]:
    server = Redis(servers_folder / "redis")
    await in_server_thread(server.start)
    yield server
    server.resume()
    await in_server_thread(server.stop)


@pytest.fixture
def seed() -> int:
    """The seed of everything random in a test; printed, so that a run can be repeated."""
    chosen = int(os.environ.get(SEED) or random.randrange(2**32))
    print(f"{SEED}={chosen}")  # noqa: T201
    return chosen


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Iterator[Measurements]:
    """Records a measurement with its bound: `measure("healed", 1.2, 2.0, unit="s")`."""
    measurements = Measurements(request.node.nodeid)
    yield measurements
    if request.node.stash.get(PASSED, False):
        measurements.keep()


@pytest.fixture(scope="session")
def _trials() -> Callable[[], int]:
    return itertools.count().__next__


@pytest.fixture
async def system(
    tmp_path: Path, seed: int, postgres: Postgres, redis: Redis, _trials: Callable[[], int]
) -> AsyncIterator[System]:
    """A system on a separate database. Afterwards its processes are stopped and its servers restarted."""
    name = f"trial_{_trials()}"
    url = await in_server_thread(postgres.database, name)
    made = System(tmp_path, seed=seed, postgres=postgres, redis=redis, database_url=url)
    yield made
    await made.close()
    await start_in_thread(redis)
    await start_in_thread(postgres)
    await in_server_thread(postgres.drop, name)
