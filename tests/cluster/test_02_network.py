"""NetworkPolicies in a cluster that enforces them: strangers reach the public port and nothing else."""

import json
from collections.abc import Iterator

import pytest

from tests.cluster.cluster import Cluster, wait_until
from tests.cluster.loading import plain_pod
from tests.cluster.release import NAME, Release

# Which of the addresses HOST:PORT answer to a connection, as JSON.
PROBE = """
import json, socket, sys
found = {}
for address in sys.argv[1:]:
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
        found[address] = True
    except OSError:
        found[address] = False
print(json.dumps(found))
"""
POSTGRESQL, REDIS, PUBLIC = f"{NAME}-postgresql:5432", f"{NAME}-redis:6379", f"{NAME}:80"


@pytest.fixture
def stranger(cluster: Cluster, release: Release) -> Iterator[str]:
    """A pod of the same namespace that is none of the release's."""
    cluster.delete("Pod", "stranger")
    cluster.create(plain_pod("stranger", cluster.image, "sleep", "600"))
    try:
        wait_until(
            "the stranger runs",
            lambda: cluster.get("Pod", "stranger")["status"]["phase"] == "Running",
            seconds=60,
        )
        yield "pod/stranger"
    finally:
        cluster.delete("Pod", "stranger")


def _reaches(cluster: Cluster, target: str, container: str, *addresses: str) -> dict[str, bool]:
    found: dict[str, bool] = json.loads(
        cluster.exec(target, "python", "-c", PROBE, *addresses, container=container)
    )
    return found


def test_a_stranger_reaches_the_public_port_and_no_server_and_no_metrics(
    release: Release, cluster: Cluster, stranger: str
) -> None:
    admin = f"{release.pods()[0]['status']['podIP']}:9000"
    reached = _reaches(cluster, stranger, "stranger", PUBLIC, POSTGRESQL, REDIS, admin)
    if all(reached.values()):
        pytest.skip("this cluster does not enforce NetworkPolicies")
    assert reached == {PUBLIC: True, POSTGRESQL: False, REDIS: False, admin: False}


def test_the_service_reaches_its_servers_and_nothing_that_is_not_named(
    release: Release, cluster: Cluster, stranger: str
) -> None:
    api_server = "kubernetes.default.svc:443"
    if not _reaches(cluster, stranger, "stranger", api_server)[api_server]:
        pytest.skip("this cluster's API cannot be reached from a pod at all")
    if _reaches(cluster, stranger, "stranger", POSTGRESQL)[POSTGRESQL]:
        pytest.skip("this cluster does not enforce NetworkPolicies")
    reached = _reaches(cluster, f"deploy/{NAME}", "server", POSTGRESQL, REDIS, api_server)
    assert reached == {POSTGRESQL: True, REDIS: True, api_server: False}


def test_the_purge_runs_within_its_edges(release: Release, cluster: Cluster) -> None:
    cluster.delete("Job", "purge-now")
    cluster.kubectl("create", "job", "purge-now", f"--from=cronjob/{NAME}-purge")
    try:
        cluster.kubectl("wait", "--for=condition=Complete", "job/purge-now", "--timeout=80s")
        assert "expired idempotency records removed" in cluster.kubectl("logs", "job/purge-now")
    finally:
        cluster.delete("Job", "purge-now")
