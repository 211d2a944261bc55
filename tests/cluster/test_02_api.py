"""The installed service, as seen by clients and operators."""

import uuid

import httpx2

from tests.cluster.cluster import Cluster, wait_until
from tests.cluster.release import NAME, Release


def test_created_product_can_be_read_and_has_history(api: httpx2.Client, release: Release) -> None:
    mark = uuid.uuid4().hex[:8]
    category = api.post("/categories", json={"name": f"Lamps {mark}", "slug": f"lamps-{mark}"})
    assert category.status_code == 201, category.text
    body = {"sku": f"LAMP-{mark}".upper(), "name": "Lamp", "price": "12.50", "stock": 3}
    created = api.post("/products", json={**body, "category_id": category.json()["id"]})
    assert created.status_code == 201, created.text

    product = created.json()["id"]
    read = api.get(f"/products/{product}")
    assert read.status_code == 200, read.text
    assert read.json() == created.json()
    assert read.headers["etag"] == created.headers["etag"]

    changes = release.sql(
        "SELECT version, actor <> '', request_id FROM row_history "
        f"WHERE table_name = 'product' AND row_id = '{product}'"
    )
    assert changes == f"1|t|{created.headers['x-request-id']}"


def test_caller_without_a_key_is_refused(api: httpx2.Client) -> None:
    answer = httpx2.get(f"{api.base_url}products", timeout=10)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


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
