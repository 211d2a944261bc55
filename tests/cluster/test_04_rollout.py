"""Pods are replaced, added and removed under load without failed requests."""

import pytest

from tests.cluster.cluster import Cluster, wait_until
from tests.cluster.loading import load
from tests.cluster.release import NAME, Release


@pytest.mark.parametrize("time", [1, 2, 3, 4, 5])
def test_rolling_update_under_load_drops_no_request(release: Release, key: str, time: int) -> None:
    pods = {pod["metadata"]["name"] for pod in release.pods()}
    migrations = [job["metadata"]["uid"] for job in release.migrations()]

    with load(release, key) as running:
        # A setting that only the server uses: pods are replaced, and no migration runs.
        with release.exits() as exits:
            release.upgrade("--reuse-values", "--set", f"config.performance.page_size={50 - time}")
            release.wait_rolled_out()
        saw = running.stop()

    saw.assert_as_promised()
    assert exits == dict.fromkeys(pods, 0)
    assert not pods & {pod["metadata"]["name"] for pod in release.pods()}
    assert [job["metadata"]["uid"] for job in release.migrations()] == migrations


def test_scaling_to_five_pods_and_back_under_load_drops_no_request(
    release: Release, cluster: Cluster, key: str
) -> None:
    with load(release, key) as running:
        with release.exits() as exits:
            release.upgrade("--reuse-values", "--set", "replicaCount=5")
            assert len(release.pods()) == release.deployment()["status"]["readyReplicas"] == 5
            release.upgrade("--reuse-values", "--set", "replicaCount=2")
            release.wait_rolled_out()
        saw = running.stop()

    saw.assert_as_promised()
    assert list(exits.values()) == [0, 0, 0]
    wait_until("the budget knows", lambda: _expected(cluster) == 2, seconds=30)


def _expected(cluster: Cluster) -> int:
    budget = cluster.get("PodDisruptionBudget", NAME, api_version="policy/v1")
    return int(budget["status"]["expectedPods"])
