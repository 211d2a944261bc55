"""Nodes are drained and servers lost under load: the responses to callers, and recovery."""

from collections.abc import Iterator

import pytest
from kubernetes import client

from tests.cluster.cluster import Cluster, run, wait_until
from tests.cluster.loading import load
from tests.cluster.release import NAME, SERVER, Release

POSTGRESQL, REDIS = f"{NAME}-postgresql-0", f"{NAME}-redis-0"
HEALED_SECONDS = 120


@pytest.fixture
def nodes(cluster: Cluster, release: Release) -> Iterator[tuple[str, str]]:
    """Return the node of the database, which its volume ties it to, and another one. Both accept pods."""
    names = [
        node["metadata"]["name"] for node in cluster.list("Node") if not node["spec"].get("unschedulable")
    ]
    home = cluster.get("Pod", POSTGRESQL)["spec"]["nodeName"]
    others = [name for name in names if name != home]
    if not others:
        pytest.skip("this cluster has one node, and draining it would leave the pods nowhere to go")
    try:
        yield home, others[0]
    finally:
        for node in (home, others[0]):
            run("kubectl", "uncordon", node, seconds=30)


def _drain(node: str, *arguments: str) -> None:
    """Evict the pods of a node through the eviction API, which respects disruption budgets."""
    wait = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=150s")
    run("kubectl", "drain", node, *wait, *arguments, seconds=170)


def test_draining_both_nodes_in_turn_drops_no_request(
    release: Release, cluster: Cluster, key: str, nodes: tuple[str, str]
) -> None:
    home, other = nodes
    with load(release, key, node=home) as running:
        with release.exits() as exits:
            _drain(other)
            release.wait_rolled_out()
            assert {pod["spec"]["nodeName"] for pod in release.pods()} == {home}

            run("kubectl", "uncordon", other, seconds=30)
            _drain(home, "--pod-selector", SERVER)
            release.wait_rolled_out()
            assert {pod["spec"]["nodeName"] for pod in release.pods()} == {other}
        saw = running.stop()

    saw.assert_as_promised()
    assert len(exits) >= 2
    assert set(exits.values()) == {0}


def test_budget_allows_one_eviction_at_a_time(release: Release, cluster: Cluster) -> None:
    release.wait_rolled_out()
    first, second = release.pods()
    assert _evict(cluster, first["metadata"]["name"]) == ""
    refused = _evict(cluster, second["metadata"]["name"])
    assert "Cannot evict pod as it would violate the pod's disruption budget" in refused
    release.wait_rolled_out()


def _evict(cluster: Cluster, pod: str) -> str:
    """Return why the API refuses to evict a pod, or an empty string."""
    eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=pod))
    try:
        cluster.core.create_namespaced_pod_eviction(pod, cluster.namespace, eviction)
    except client.ApiException as error:
        return str(error.body)
    return ""


def test_lost_database_means_503_with_retry_after_until_it_is_back(
    release: Release, cluster: Cluster, key: str
) -> None:
    restarts = _restarts(release)
    with load(release, key) as running:
        _lose(cluster, POSTGRESQL)
        wait_until("the pods are ready again", lambda: _ready(release), seconds=HEALED_SECONDS)
        saw = running.stop()

    assert set(saw.seen) <= {"200", "201", "503 with Retry-After"}, "\n".join([str(saw.seen), *saw.failures])
    assert saw.seen["503 with Retry-After"] > 0
    assert _restarts(release) == restarts
    _assert_healed(release, key)


def test_lost_redis_fails_no_request(release: Release, cluster: Cluster, key: str) -> None:
    restarts = _restarts(release)
    with load(release, key) as running:
        _lose(cluster, REDIS)
        saw = running.stop()

    saw.assert_as_promised()
    assert _restarts(release) == restarts


def _lose(cluster: Cluster, pod: str) -> None:
    """Kill a pod of a StatefulSet after a second, and wait until its successor is ready.

    Not with `--force`: the successor would open the volume before the dying server closes it and removes the lock file
    of both. PostgreSQL stops when it notices, a minute later.
    """
    before = cluster.get("Pod", pod)["metadata"]["uid"]
    cluster.kubectl("delete", "pod", pod, "--now", "--wait=false")
    wait_until("it has a successor", lambda: _uid(cluster, pod) not in {before, ""}, seconds=60)
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=80s")


def _uid(cluster: Cluster, pod: str) -> str:
    found = [p["metadata"]["uid"] for p in cluster.list("Pod") if p["metadata"]["name"] == pod]
    return str(found[0]) if found else ""


def _restarts(release: Release) -> dict[str, int]:
    # A pod of the previous test may not have started its container yet.
    wait_until(
        "containers run", lambda: all("containerStatuses" in p["status"] for p in release.pods()), seconds=60
    )
    return {
        pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["restartCount"]
        for pod in release.pods()
    }


def _ready(release: Release) -> bool:
    return bool(release.deployment()["status"].get("readyReplicas", 0) == len(release.pods()) == 2)


def _assert_healed(release: Release, key: str) -> None:
    with load(release, key) as running:
        saw = running.stop()
    saw.assert_none_failed()
