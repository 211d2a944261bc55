"""The smallest profile: one replica, no Redis, and manual migrations."""

from collections.abc import Iterator

import pytest

from tests.cluster.cluster import Cluster, wait_until
from tests.cluster.namespaces import additional_namespace
from tests.cluster.release import NAME, SERVER, Release

VALUES = "chart/ci/03-single-values.yaml"


@pytest.fixture(scope="module")
def single(cluster: Cluster) -> Iterator[Release]:
    with additional_namespace(cluster, "single") as namespace:
        found = Release(namespace, values=VALUES)
        found.install(wait=False)  # nothing becomes ready before a migration
        yield found


def test_pod_waits_until_the_database_is_migrated(single: Release) -> None:
    wait_until("the gate waits", lambda: _gate_runs(single.cluster), seconds=90)
    assert single.migrations() == []
    assert not single.deployment()["status"].get("readyReplicas")

    single.upgrade("--set", "migration.enabled=true")
    assert single.deployment()["status"]["readyReplicas"] == 1


def _gate_runs(cluster: Cluster) -> bool:
    gates = [
        gate
        for pod in cluster.list("Pod", labels=SERVER)
        for gate in pod["status"].get("initContainerStatuses", [])
    ]
    return bool(gates) and all("running" in gate["state"] for gate in gates)


def test_node_port_serves_without_redis(single: Release) -> None:
    cluster = single.cluster
    (port,) = cluster.get("Service", NAME)["spec"]["ports"]
    assert port["nodePort"] == 30080
    assert "redis" not in cluster.exec(f"deploy/{NAME}", "ls", "/run/secrets/slipway", container="server")
    assert single.key().startswith("slw_")


def test_budget_of_a_single_pod_lets_its_node_drain(single: Release) -> None:
    wait_until("the pod may be evicted", lambda: _allowed(single.cluster) == 1, seconds=30)


def _allowed(cluster: Cluster) -> int:
    (budget,) = cluster.list("PodDisruptionBudget", api_version="policy/v1")
    return int(budget["status"].get("disruptionsAllowed", 0))
