"""Servers of our own for each worker, and the trial of each test."""

import itertools
import os
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.faults.aside import aside
from tests.faults.figures import SHARED, Figures
from tests.faults.servers import Postgres, Redis
from tests.faults.trial import Trial, aside_start

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
    """Where servers keep their data. PostgreSQL runs as another user when the tests run as root, and pytest's own
    folders are closed to others."""
    with tempfile.TemporaryDirectory(prefix="slipway-faults-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@pytest.fixture(scope="session")
async def postgres(servers_folder: Path) -> AsyncIterator[Postgres]:
    server = Postgres(servers_folder / "postgres")
    await aside(server.start)
    yield server
    server.resume()
    await aside(server.stop)


@pytest.fixture(scope="session")
async def redis(servers_folder: Path) -> AsyncIterator[Redis]:
    server = Redis(servers_folder / "redis")
    await aside(server.start)
    yield server
    server.resume()
    await aside(server.stop)


@pytest.fixture
def seed() -> int:
    """Decides everything that is random in a test; printed, so that a run can be repeated."""
    chosen = int(os.environ.get(SEED) or random.randrange(2**32))
    print(f"{SEED}={chosen}")  # noqa: T201
    return chosen


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Iterator[Figures]:
    """Notes what the test has measured, beside its bound: `figure("healed", 1.2, 2.0, unit="s")`."""
    alone = request.node.get_closest_marker("alone") is not None
    figures = Figures(request.node.nodeid, patience=alone and SHARED)
    yield figures
    if request.node.stash.get(PASSED, False):
        figures.keep()


@pytest.fixture(scope="session")
def _trials() -> Callable[[], int]:
    return itertools.count().__next__


@pytest.fixture
async def trial(
    tmp_path: Path, seed: int, postgres: Postgres, redis: Redis, _trials: Callable[[], int]
) -> AsyncIterator[Trial]:
    """A trial on a database of its own; its processes are ended after it, and its servers run again."""
    name = f"trial_{_trials()}"
    url = await aside(postgres.database, name)
    made = Trial(tmp_path, seed=seed, postgres=postgres, redis=redis, database_url=url)
    yield made
    await made.close()
    await aside_start(redis)
    await aside_start(postgres)
    await aside(postgres.drop, name)
