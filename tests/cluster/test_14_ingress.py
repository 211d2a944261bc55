"""The development profile with the image of `tilt up`: its ingress controller, the effects of the Ingress annotations,
and code reloaded in a running pod.
"""

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.cluster.cluster import ROOT, Cluster, wait_until
from tests.cluster.images import holds, skip_without
from tests.cluster.namespaces import additional_namespace
from tests.cluster.release import Release

VALUES = "chart/ci/06-development-values.yaml"
OPTIONAL = {"pgadmin4": "pgadmin.enabled", "redis-commander": "redisCommander.enabled"}
HOST = "slipway.localhost"
CONTROLLER = "service/slipway-traefik"
PREFIX = r"ingress.annotations.nginx\.ingress\.kubernetes\.io"
LOCK_SECONDS = 6


def _release(cluster: Cluster, **settings: object) -> Release:
    """The profile, without parts whose images are not on the nodes."""
    off = {value: False for program, value in OPTIONAL.items() if not holds(cluster, program)}
    return Release(cluster, {**off, **settings}, values=VALUES, image=cluster.live)


@pytest.fixture(scope="module")
def development(cluster: Cluster) -> Iterator[Release]:
    skip_without(cluster, "traefik")
    with additional_namespace(cluster, "development") as namespace:
        found = _release(namespace)
        # CRDs for providers that are off.
        found.install("--skip-crds")
        yield found


@pytest.fixture(scope="module")
def key(development: Release) -> str:
    return development.key()


@pytest.fixture
def through(development: Release, key: str) -> Iterator[httpx2.Client]:
    """A client with the key, through the ingress controller."""
    headers = {"host": HOST, "authorization": f"Bearer {key}"}
    with (
        development.cluster.forward(CONTROLLER, 80) as url,
        httpx2.Client(base_url=url, headers=headers, timeout=30) as found,
    ):
        wait_until("the route is there", lambda: found.get("/health").status_code == 200, seconds=30)
        yield found


def _annotate(release: Release, **annotations: str) -> None:
    named = {f"{PREFIX}/{name.replace('_', '-')}": value for name, value in annotations.items()}
    _release(release.cluster, **named).upgrade()


def _is_the_services_own(response: httpx2.Response) -> bool:
    return response.headers.get("content-type") == "application/problem+json"


def test_only_the_configured_host_is_routed(through: httpx2.Client) -> None:
    assert through.get("/api/v1/keys").status_code == 200
    assert through.get("/health", headers={"host": "other.localhost"}).status_code == 404
    assert through.get("/metrics").status_code == 404


def test_large_body_is_refused_by_service_then_controller(through: httpx2.Client) -> None:
    def post(megabytes: float) -> httpx2.Response:
        body = b'{"name":"' + b"x" * int(megabytes * 1_000_000) + b'"}'
        return through.post("/api/v1/keys", content=body, headers={"content-type": "application/json"})

    service, controller = post(1.5), post(3)
    assert service.status_code == controller.status_code == 413
    assert _is_the_services_own(service)
    assert not _is_the_services_own(controller)


@pytest.fixture
def locked(development: Release) -> Iterator[None]:
    """Lock the table of keys for some seconds, so that a request takes long."""
    lock = f"BEGIN; LOCK TABLE api_key IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({LOCK_SECONDS}); COMMIT"
    holder = threading.Thread(target=development.sql, args=(lock,))
    holder.start()
    held = (
        "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock'"
        " AND relation = 'api_key'::regclass"
    )
    wait_until("the table is locked", lambda: development.sql(held) == "1", seconds=10, pause=0.1)
    yield
    holder.join()


def test_controller_waits_for_slow_responses_up_to_its_timeout(
    development: Release, through: httpx2.Client, locked: None
) -> None:
    """The default is longer than the service's own timeout."""
    patient = through.get("/api/v1/keys")
    assert patient.status_code == 200 or _is_the_services_own(patient)


def test_controller_times_out_slower_responses(
    development: Release, through: httpx2.Client, request: pytest.FixtureRequest
) -> None:
    _annotate(development, proxy_read_timeout="1")
    wait_until("it is so", lambda: through.get("/api/v1/keys").status_code == 200, seconds=10)
    request.getfixturevalue("locked")
    began = time.monotonic()
    response = through.get("/api/v1/keys")
    assert response.status_code == 504, response.text
    assert 0.9 < time.monotonic() - began < 3
    assert not _is_the_services_own(response)


def test_changed_code_is_served_by_the_running_pod(
    development: Release, through: httpx2.Client, tmp_path: Path
) -> None:
    """Copy a file into the container as Tilt does on save; tilt/reload.py restarts the server."""
    (before,) = development.pods()
    now = "Changed while it runs."
    source = (ROOT / "service" / "main.py").read_text("utf-8")
    edited, times = re.subn(r'(?<=        description=")[^"]+', now, source)
    assert times == 1
    changed = tmp_path / "main.py"
    changed.write_text(edited, "utf-8")
    pod = before["metadata"]["name"]
    development.cluster.kubectl(
        "cp", str(changed), f"{pod}:/tmp/live/service/main.py", "--container", "server"
    )

    def description() -> str:
        response = through.get("/openapi.json")
        return str(response.json()["info"]["description"]) if response.status_code == 200 else ""

    wait_until("the new text is served", lambda: description() == now, seconds=60)
    (after,) = development.pods()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0


def test_rate_limit_of_the_ingress_applies(development: Release, through: httpx2.Client) -> None:
    _annotate(development, limit_rps="2")

    def ask(_: int) -> httpx2.Response:
        return through.get("/health")

    def responses() -> list[httpx2.Response]:
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(ask, range(80)))

    seen: list[httpx2.Response] = []

    def refused() -> bool:
        seen[:] = responses()
        return any(response.status_code in {429, 503} for response in seen)

    wait_until("some are refused", refused, seconds=30)
    assert not any(_is_the_services_own(response) for response in seen)
    assert {response.status_code for response in seen} <= {200, 429, 503}
