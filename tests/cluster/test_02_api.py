"""The installed service, as seen by clients and operators."""

import httpx2
import pytest

from tests.cluster.calls import calls, subject
from tests.cluster.cluster import Cluster, wait_until
from tests.cluster.release import NAME, Release


def test_created_item_can_be_read_and_has_history(api: httpx2.Client, release: Release, key: str) -> None:
    if subject(release.document) is None:
        pytest.skip("the domains of this image have no resource whose items clients create")
    what = calls(str(api.base_url.join("/")), key, release.document)
    json_type = {"content-type": "application/json"}
    created = api.post(api.base_url.join(what.path), content=what.body, headers=json_type)
    assert created.status_code == 201, created.text

    item = created.json()["id"]
    read = api.get(api.base_url.join(created.headers["location"]))
    assert read.status_code == 200, read.text
    assert read.json() == created.json()
    assert read.headers["etag"] == created.headers["etag"]

    changes = release.sql(
        "SELECT version, actor <> '', request_id FROM row_history "
        f"WHERE table_name = '{what.table}' AND row_id = '{item}'"
    )
    assert changes == f"1|t|{created.headers['x-request-id']}"


def test_caller_without_a_key_is_refused(api: httpx2.Client) -> None:
    response = httpx2.get(f"{api.base_url}keys", timeout=10)
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"


def test_metrics_are_only_on_the_admin_port(release: Release, cluster: Cluster) -> None:
    pod = f"pod/{release.pods()[0]['metadata']['name']}"
    with cluster.forward(pod, 8000) as public, cluster.forward(pod, 9000) as admin:
        assert httpx2.get(f"{public}/health", timeout=10).status_code == 200
        assert httpx2.get(f"{public}/metrics", timeout=10).status_code == 404
        wait_until(
            "the request is counted",
            lambda: 'path="/health"' in httpx2.get(f"{admin}/metrics", timeout=10).text,
            seconds=10,
        )
        for path in ("/livez", "/readyz", "/startupz", "/version"):
            assert httpx2.get(admin + path, timeout=10).status_code == 200, path


def test_public_service_does_not_expose_the_admin_port(release: Release, cluster: Cluster) -> None:
    ports = cluster.get("Service", NAME)["spec"]["ports"]
    assert [port["targetPort"] for port in ports] == ["http"]


def test_pods_have_no_service_account_token(release: Release, cluster: Cluster) -> None:
    for pod in cluster.list("Pod"):
        assert pod["spec"]["automountServiceAccountToken"] is False, pod["metadata"]["name"]


def test_only_one_pod_at_a_time_can_be_evicted(release: Release, cluster: Cluster) -> None:
    budget = cluster.get("PodDisruptionBudget", NAME, api_version="policy/v1")
    assert budget["status"]["disruptionsAllowed"] == 1
    assert budget["status"]["expectedPods"] == 2
