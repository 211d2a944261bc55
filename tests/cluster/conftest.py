"""One release for all files of this folder, and diagnosis of failures."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.cluster import diagnosis, networks
from tests.cluster.cluster import Cluster, NoClusterError, connect
from tests.cluster.namespaces import additional_namespace
from tests.cluster.release import NAME, Release

CLUSTER = pytest.StashKey[Cluster]()
REPORTED = pytest.StashKey[bool]()
TEST_SECONDS = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = f"{Path(__file__).parent}{os.sep}"
    for item in items:  # thousands, most of them of other folders
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(TEST_SECONDS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    result = yield
    stash = item.session.stash
    cluster = stash.get(CLUSTER, None)
    if result.failed and cluster is not None:
        # A failed installation fails the setup of every test: the first failure is reported.
        reported = stash.get(REPORTED, False) and result.when == "setup"
        result.sections.append(("the cluster", "see above" if reported else diagnosis.report(cluster)))
        stash[REPORTED] = True
    return result


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
        pytest.skip("these tests share one release and run in order: `make cluster-test`")
    try:
        found = connect()
    except NoClusterError as reason:
        if os.environ.get("SLIPWAY_CLUSTER_REQUIRED"):
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
    request.session.stash[CLUSTER] = found
    return found


@pytest.fixture(scope="session")
def new_release(cluster: Cluster) -> Release:
    """A release that is not installed yet, in a clean namespace."""
    release = Release(cluster)
    release.remove()
    return release


@pytest.fixture(scope="session")
def installation(new_release: Release) -> str:
    """Install the release, wait until it is ready and migrated, and return Helm's output."""
    return new_release.install()


@pytest.fixture(scope="session")
def release(new_release: Release, installation: str) -> Release:
    """The installed release."""
    return new_release


@pytest.fixture(scope="session")
def key(release: Release) -> str:
    """An API key with all scopes."""
    return release.key()


@pytest.fixture
def api(cluster: Cluster, release: Release, key: str) -> Iterator[httpx2.Client]:
    """A client of the public Service with the key."""
    with (
        cluster.forward(f"service/{NAME}", 80) as url,
        httpx2.Client(
            base_url=f"{url}/api/v1", headers={"authorization": f"Bearer {key}"}, timeout=10
        ) as found,
    ):
        yield found


@pytest.fixture(scope="module")
def enforced(cluster: Cluster) -> Iterator[networks.Enforced]:
    """A cluster that enforces NetworkPolicies, tested with policies other than the chart's. Skips the test on
    others."""
    with (
        additional_namespace(cluster, "networks") as namespace,
        networks.listening(namespace, "listener") as listener,
        networks.running(namespace, "client") as client,
    ):
        reason = networks.not_enforced(client, listener)
        if reason:
            pytest.skip(reason)
        yield networks.Enforced(client, listener)


@pytest.fixture
def probe() -> networks.Probe:
    """Creates pods with labels, to connect from."""
    return networks.running
