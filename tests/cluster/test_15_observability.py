"""The full profile: a real operator finds metrics and rules, and a real Loki finds a request's log lines by its id.

Parts whose images are not on the nodes are switched off. The test then replaces Alloy: it sends the pods' log lines to
Loki with the labels that Alloy would add. With PROFILE=full everything runs.
"""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.cluster.cluster import Cluster, wait_until
from tests.cluster.images import holds, skip_without
from tests.cluster.namespaces import additional_namespace
from tests.cluster.release import NAME, PROFILE_FULL, Release

VALUES = "chart/ci/07-full-values.yaml"
STACK = "kube-prometheus-stack"
OPTIONAL = {
    "grafana": f"{STACK}.grafana.enabled",
    "kube-state-metrics": f"{STACK}.kubeStateMetrics.enabled",
    "postgres-exporter": "postgresql.metrics.enabled",
    "redis_exporter": "redis.metrics.enabled",
    "loki": "loki.enabled",
    "alloy": "alloy.enabled",
}
FOUND_SECONDS = 150


@pytest.fixture(scope="module")
def full(cluster: Cluster) -> Iterator[Release]:
    skip_without(cluster, "prometheus", "prometheus-operator", "prometheus-config-reloader")
    off = {value: False for program, value in OPTIONAL.items() if not holds(cluster, program)}
    with additional_namespace(cluster, "full") as namespace:
        found = Release(namespace, off, values=VALUES)
        found.install()
        yield found


def test_api_server_accepts_every_object_of_the_full_profile(full: Release, tmp_path: Path) -> None:
    """Also for parts that are switched off here: a dry run on the API server gives no warning."""
    whole = Release(full.cluster, values=VALUES)
    manifests = tmp_path / "whole.yaml"
    manifests.write_text(whole.manifests("--skip-tests"), "utf-8")
    tried = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--filename", str(manifests))
    said = full.cluster.kubectl(*tried, "--warnings-as-errors")
    for program in ("grafana", "alloy", "loki", "kube-state-metrics", "prometheus", "operator"):
        assert program in said


@pytest.fixture(scope="module")
def prometheus(full: Release) -> Iterator[httpx2.Client]:
    """The HTTP API of the operator's Prometheus."""
    ready = ("wait", "--for=condition=Ready", "pod", "--selector=app.kubernetes.io/name=prometheus")
    wait_until("the operator made it", lambda: _pods(full, "prometheus"), seconds=60)
    full.cluster.kubectl(*ready, "--timeout=120s", seconds=130)
    with (
        full.cluster.forward("service/prometheus-operated", 9090) as url,
        httpx2.Client(base_url=f"{url}/api/v1", timeout=10) as found,
    ):
        yield found


def _pods(release: Release, name: str) -> list[Any]:
    return release.cluster.list("Pod", labels=f"app.kubernetes.io/name={name}")


def _data(client: httpx2.Client, path: str, **parameters: str) -> Any:
    response = client.get(path, params=parameters)
    assert response.status_code == 200, response.text
    return response.json()["data"]


def _targets(prometheus: httpx2.Client, release: Release) -> list[str]:
    """Return the health of the service's targets."""
    pool = f"serviceMonitor/{release.cluster.namespace}/{NAME}/0"
    active = _data(prometheus, "/targets", state="active")["activeTargets"]
    return [target["health"] for target in active if target["scrapePool"] == pool]


def test_operator_scrapes_every_pod(full: Release, prometheus: httpx2.Client) -> None:
    wait_until(
        "every pod is a target that is up",
        lambda: _targets(prometheus, full) == ["up"] * len(full.pods()),
        seconds=FOUND_SECONDS,
    )


def test_requests_are_counted_in_prometheus(full: Release, prometheus: httpx2.Client) -> None:
    with full.cluster.forward(f"service/{NAME}", 80) as url:
        for _ in range(5):
            assert httpx2.get(f"{url}/health", timeout=10).status_code == 200
    query = f'sum(http_requests_total{{namespace="{full.cluster.namespace}", path="/health"}})'

    def counted() -> bool:
        result = _data(prometheus, "/query", query=query)["result"]
        return bool(result) and float(result[0]["value"][1]) >= 5

    wait_until("they are counted", counted, seconds=FOUND_SECONDS)


def test_every_rule_is_loaded_and_evaluates(full: Release, prometheus: httpx2.Client) -> None:
    rules = full.cluster.list("PrometheusRule", api_version="monitoring.coreos.com/v1")
    written = {
        rule["alert"]
        for found in rules
        for group in found["spec"]["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert any(name.startswith("Slipway") for name in written)

    def loaded() -> dict[str, str]:
        groups = _data(prometheus, "/rules", type="alert")["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    wait_until(
        "every alert was asked once", lambda: loaded() == dict.fromkeys(written, "ok"), seconds=FOUND_SECONDS
    )


@pytest.fixture(scope="module")
def loki(full: Release, cluster: Cluster) -> Iterator[httpx2.Client]:
    skip_without(cluster, "loki")
    with (
        full.cluster.forward(f"service/{NAME}-loki", 3100) as url,
        httpx2.Client(base_url=f"{url}/loki/api/v1", timeout=10) as found,
    ):
        yield found


def _push(loki: httpx2.Client, release: Release) -> None:
    """Send the log lines of the service's pods with Alloy's labels, once."""
    streams = []
    for pod in release.pods():
        name = pod["metadata"]["name"]
        labels = {
            "namespace": release.cluster.namespace,
            "pod": name,
            "container": "server",
            "app": NAME,
            "component": "server",
        }
        now = time.time_ns()
        lines = release.cluster.logs(name, "server").splitlines()
        streams.append({"stream": labels, "values": [[str(now + n), line] for n, line in enumerate(lines)]})
    response = loki.post("/push", json={"streams": streams})
    assert response.status_code == 204, response.text


def test_log_lines_are_found_by_request_id(full: Release, loki: httpx2.Client) -> None:
    mark = uuid.uuid4().hex
    with full.cluster.forward(f"service/{NAME}", 80) as url:
        response = httpx2.get(f"{url}/api/v1/keys", headers={"x-request-id": mark}, timeout=10)
    assert response.status_code == 401
    assert response.headers["x-request-id"] == mark
    if not PROFILE_FULL:
        wait_until(
            "it is logged",
            lambda: any(mark in full.cluster.logs(p["metadata"]["name"], "server") for p in full.pods()),
            seconds=10,
        )
        _push(loki, full)
    query = f'{{namespace="{full.cluster.namespace}", app="{NAME}"}} | json | request_id="{mark}"'

    def lines() -> list[dict[str, str]]:
        return [stream["stream"] for stream in _data(loki, "/query_range", query=query)["result"]]

    wait_until("they are found", lines, seconds=60)
    assert {line["route"] for line in lines() if line.get("event") == "request"} == {"/api/v1/keys"}
