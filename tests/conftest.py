"""Fixtures for all tests: real servers, and a migrated database for each worker."""

import gc
import itertools
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Literal, Protocol

import pytest

from tests import forked
from tests.services import ADDRESS, Client, ServersProcess
from tests.summary import pytest_terminal_summary
from tests.workers.order import spread

__all__ = ["pytest_terminal_summary"]

SERVERS = pytest.StashKey[ServersProcess]()
YOUNG = 250_000
"""Objects that are made before the garbage collector looks for cycles. Its default, 700, costs tests a tenth of their
time, and 50,000 a fiftieth."""

pytest.register_assert_rewrite("tests.authorization.cases")

ClaimsOf = Callable[[str], Awaitable[dict[str, Any]]]


class DatabaseFactory(Protocol):
    """Creates a database for one test and returns its URL: at the head of the migrations, with the tables of the shop,
    unless told otherwise. `roles` asks for one whose owner is no superuser (`owned`), or in which the role of the
    service has its privileges, too (`granted`)."""

    def __call__(
        self,
        *,
        migrated: bool = True,
        shop: bool = True,
        roles: Literal["owned", "granted"] | None = None,
    ) -> str: ...


def pytest_configure(config: pytest.Config) -> None:
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    if not hasattr(config, "workerinput"):
        # While one process collects all tests, another processor is free.
        whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not _runs_tests(config)
        config.stash[SERVERS] = ServersProcess(at_once=whole)
    if _runs_tests(config):
        config.pluginmanager.import_plugin("tests.in_process")
    elif forked.FORKS:
        config.pluginmanager.import_plugin("tests.workers.controller")
    forked.start_by(_client(config).fork_server)


def _runs_tests(config: pytest.Config) -> bool:
    """Whether this process runs tests, or lists them, and is not the one that gives them to workers."""
    gives = config.getoption("dist", "no") != "no" and not config.getoption("collectonly")
    return hasattr(config, "workerinput") or not gives


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput[ADDRESS] = node.config.stash[SERVERS].address


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A target that runs pytest twice goes on if `.ci/again` has no test for the first of them."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.getoption("lf", default=False):
        session.exitstatus = pytest.ExitCode.OK


@pytest.hookimpl(trylast=True)  # when the marks have chosen the tests
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let workers wait and compute at the same time, and keep the tests of an `xdist_group` on one worker. pytest-xdist
    3.8 does that by a field that pytest 9.2 no longer has."""
    if hasattr(config, "workerinput"):
        spread(items, config.workerinput["workercount"])
    if not config.getoption("loadgroup", default=False):
        return
    for item in items:
        if (mark := item.get_closest_marker("xdist_group")) and "@" not in item.nodeid.rpartition("]")[2]:
            node: Any = item
            node._id = type(node._id).parse(f"{item.nodeid}@{mark.args[0]}")


def pytest_collection_finish() -> None:
    """What has been imported and collected stays for the run: the garbage collector need not visit it."""
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    if servers := config.stash.get(SERVERS, None):
        servers.stop()


@pytest.fixture(scope="session")
def services(pytestconfig: pytest.Config) -> Client:
    """The client for databases and Redis."""
    return _client(pytestconfig)


def _client(config: pytest.Config) -> Client:
    worker: dict[str, str] | None = getattr(config, "workerinput", None)
    return Client(worker[ADDRESS] if worker else config.stash[SERVERS].address)


@pytest.fixture(scope="session")
def worker(pytestconfig: pytest.Config) -> int:
    """The number of this worker; 0 without xdist."""
    name: str = getattr(pytestconfig, "workerinput", {}).get("workerid", "gw0")
    return int(name.removeprefix("gw"))


@pytest.fixture(scope="session")
def database_url(services: Client, worker: int) -> str:
    """The URL of this worker's database, with the tables of the shop. Its tests share it, one after another."""
    return services.create_database(f"worker_{worker}", migrated=True)


@pytest.fixture(scope="session")
def redis_url(services: Client, worker: int) -> str:
    """The URL of this worker's logical database of Redis."""
    return services.redis(worker)


@pytest.fixture(scope="session")
def _numbers() -> Callable[[], int]:
    return itertools.count().__next__


@pytest.fixture
def fresh_database(services: Client, worker: int, _numbers: Callable[[], int]) -> Iterator[DatabaseFactory]:
    """Creates databases for one test; they are dropped afterwards, open connections included."""
    made: list[str] = []

    def create(
        *, migrated: bool = True, shop: bool = True, roles: Literal["owned", "granted"] | None = None
    ) -> str:
        made.append(f"extra_{worker}_{_numbers()}")
        if roles:
            return services.create_database_with(roles, made[-1])
        return services.create_database(made[-1], migrated=migrated, shop=shop)

    yield create
    for name in made:
        services.drop_database(name)


@pytest.fixture(scope="session")
def claims_of() -> ClaimsOf:
    """Returns the claims of a tenant's credentials. Domains whose owners have others override this."""

    async def claims(tenant: str) -> dict[str, Any]:
        return {"tenant": tenant}

    return claims
