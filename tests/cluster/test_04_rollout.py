"""Pods are replaced under load, and no caller notices."""

import json
import os
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.cluster.cluster import ROOT, Cluster, Object, wait_until
from tests.cluster.release import NAME, Release

SCRIPT = ROOT / "tests" / "cluster" / "load.py"


def _load_pod(image: str, *arguments: str) -> Object:
    container = {
        "name": "load",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", SCRIPT.read_text("utf-8"), *arguments],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "load"},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        },
    }


@pytest.fixture
def load(cluster: Cluster, release: Release, api: httpx2.Client, key: str) -> Iterator[str]:
    """The name of a pod that calls the service all the time."""
    category = api.post("/categories", json={"name": "Load", "slug": f"load-{os.getpid()}"}).json()["id"]
    cluster.delete("Pod", "load")
    cluster.create(_load_pod(cluster.image, f"http://{NAME}.{cluster.namespace}.svc", key, category))
    try:
        wait_until(
            "the load runs", lambda: cluster.get("Pod", "load")["status"]["phase"] == "Running", seconds=60
        )
        yield "load"
    finally:
        cluster.delete("Pod", "load")


def _stop(cluster: Cluster, load: str) -> Any:
    """Ends the load and returns what it saw."""
    cluster.exec(load, "touch", "/tmp/stop", container="load")
    wait_until("the load ends", lambda: cluster.get("Pod", load)["status"]["phase"] != "Running", seconds=60)
    return json.loads(cluster.logs(load, "load").splitlines()[-1])


def test_a_rolling_restart_under_load_drops_no_request(release: Release, cluster: Cluster, load: str) -> None:
    pods = {pod["metadata"]["name"] for pod in release.pods()}
    migrations = [job["metadata"]["uid"] for job in release.migrations()]

    # A setting of the server alone: its pods are replaced, and no migration runs.
    with release.exits() as exits:
        release.upgrade("--reuse-values", "--set", "config.performance.page_size=49")
        release.wait_rolled_out()
    saw = _stop(cluster, load)

    assert exits == dict.fromkeys(pods, 0)
    assert not pods & {pod["metadata"]["name"] for pod in release.pods()}
    assert [job["metadata"]["uid"] for job in release.migrations()] == migrations
    assert saw["failures"] == [], "\n".join(saw["failures"])
    assert set(saw["seen"]) == {"200", "201"}
    assert sum(saw["seen"].values()) > 500
