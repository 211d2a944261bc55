"""What a platform does with the chart: another chart installs it, with containers and objects of its own and the first
API key from a Secret; the cluster assigns users and groups and refuses others; backups go to its object storage;
passwords change; a key of the Secret gets lost.
"""

import base64
import json
import re
import secrets
from collections.abc import Iterator
from contextlib import nullcontext

import httpx2
import pytest

from service.security.api_keys import key_format
from tests.chart.rendering import WORKLOADS, objects, template
from tests.cluster import parent, platform
from tests.cluster.bucket import POLICY, Bucket, bucket
from tests.cluster.cluster import Cluster, Object, wait_until
from tests.cluster.loading import load
from tests.cluster.namespaces import additional_namespace
from tests.cluster.release import NAME, SERVER, SERVER_IMAGES, Release, values_of
from tests.cluster.test_06_backup import NAME_OF_BACKUP

KEY = key_format.generate()


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[Cluster]:
    with additional_namespace(cluster, "market") as found:
        found.create(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "mine"},
                "stringData": {
                    "admin-key": KEY.text,
                    "key": base64.b64encode(secrets.token_bytes(32)).decode(),
                    "s3_access_key_id": "AK",
                    "s3_secret_access_key": "for-tests",
                },
            }
        )
        yield found


@pytest.fixture(scope="module")
def number(namespace: Cluster) -> Iterator[int | None]:
    """The number that the platform gives pods as their user; None if this cluster cannot assign one."""
    with platform.assigning(namespace) if platform.serves_policies(namespace) else nullcontext() as found:
        yield found


@pytest.fixture(scope="module")
def stored(namespace: Cluster, number: int | None) -> Iterator[Bucket]:
    with bucket(namespace) as found:
        yield found


@pytest.fixture(scope="module")
def market(
    namespace: Cluster, number: int | None, stored: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Release:
    """The release of the other chart, with backups in the bucket. The platform assigns users and groups if it can."""
    values = parent.values(namespace.image)
    if number is not None:
        for chart in (values, *(values[server] for server in SERVER_IMAGES)):
            chart["targetPlatform"] = "openshift"
    values["config"] = {"backup": {"s3_endpoint": f"http://{stored.address}"}}
    values["backup"] = {"enabled": True, "storage": "s3://backups/nightly", "existingSecret": "mine"}
    values["networkPolicy"] = {"backup": POLICY}
    folder = parent.write(tmp_path_factory.mktemp("parent"), values)
    found = Release(namespace, values=str(folder / "values.yaml"), chart=str(folder))
    found.install()
    return found


def test_parent_chart_brings_containers_objects_and_the_first_key(market: Release) -> None:
    with market.cluster.forward(f"service/{NAME}", 80) as url:
        answer = httpx2.get(f"{url}/api/v1/keys", headers={"x-api-key": KEY.text}, timeout=10)
    assert [(key["prefix"], key["scopes"]) for key in answer.json()["items"]] == [(KEY.prefix, ["admin"])]
    (job,) = market.migrations()
    log = market.cluster.kubectl("logs", f"job/{job['metadata']['name']}")
    assert KEY.prefix in log
    assert KEY.secret not in log
    assert market.cluster.exec(f"deploy/{NAME}", "cat", "/etc/added/told", container="server") == f"by {NAME}"
    assert all(status["ready"] for pod in market.pods() for status in pod["status"]["containerStatuses"]), (
        "with the added container"
    )


def test_backup_goes_to_the_bucket(market: Release, stored: Bucket) -> None:
    """The NetworkPolicies let only jobs of backups connect to it; test_02_network shows that they are enforced."""
    name = re.findall(NAME_OF_BACKUP, market.run_now("backup-create"))[-1]
    assert f"PUT /backups/nightly/{name}/manifest.json" in stored.requests()


def _patch(release: Release, *operations: dict[str, str]) -> None:
    """Change the generated Secret by operations of RFC 6902."""
    name = f"{NAME}-credentials"
    release.cluster.kubectl("patch", "secret", name, "--type", "json", "--patch", json.dumps(operations))


def test_lost_key_of_the_secret_is_refused_by_name(market: Release) -> None:
    kept = market.credentials()["redis-password"]
    _patch(market, {"op": "remove", "path": "/data/redis-password"})
    try:
        with pytest.raises(AssertionError, match=f"Secret {NAME}-credentials has no redis-password, while "):
            market.upgrade()
    finally:
        # With it, the upgrade of the next test is accepted.
        _patch(market, {"op": "add", "path": "/data/redis-password", "value": kept})


def _read_by_pods(release: Release) -> list[dict[str, str]]:
    """Return the passwords in the files of each pod, by the Secret's keys."""
    # A changed pod makes the kubelet look at the Secret now, not only after a minute or two.
    changed = f"slipway.test/looked-at={secrets.token_hex(4)}"
    release.cluster.kubectl("annotate", "pods", "--overwrite", "--selector", SERVER, changed)
    files = {"database-app-password": "database/password", "redis-password": "redis/password"}
    return [
        {
            key: release.cluster.exec(
                pod["metadata"]["name"], "cat", f"/run/secrets/slipway/{file}", container="server"
            )
            for key, file in files.items()
        }
        for pod in release.pods()
    ]


def test_rotated_passwords_reach_the_servers_without_a_failed_request(market: Release) -> None:
    new = {name: secrets.token_hex(24) for name in ("database-app-password", "redis-password")}
    encoded = {name: base64.b64encode(text.encode()).decode() for name, text in new.items()}
    _patch(market, *({"op": "replace", "path": f"/data/{n}", "value": v} for n, v in encoded.items()))
    wait_until(
        "pods have the new passwords", lambda: _read_by_pods(market) == [new] * 2, seconds=180, pause=2
    )
    with load(market, KEY.text) as running:
        market.upgrade()
        saw = running.stop()
    saw.assert_none_failed()
    assert KEY.prefix in market.slipway("keys", "list"), "a new process logs in to PostgreSQL"
    ping = ("sh", "-c", f"REDISCLI_AUTH={new['redis-password']} redis-cli ping")
    assert market.cluster.exec(f"{NAME}-redis-0", *ping, container="redis").strip() == "PONG"


def _pods(manifests: str) -> list[Object]:
    """Return a pod of each workload, whose volumes are empty in place of claims of its own."""
    pods = []
    for workload in objects(manifests):
        if workload["kind"] in WORKLOADS:
            spec = template(workload)["spec"]
            claims = workload["spec"].get("volumeClaimTemplates") or []
            empty = [{"name": claim["metadata"]["name"], "emptyDir": {}} for claim in claims]
            name = {"name": f"tried-{workload['metadata']['name']}"[:63]}
            volumes = [*(spec.get("volumes") or []), *empty]
            pods.append(
                {"apiVersion": "v1", "kind": "Pod", "metadata": name, "spec": {**spec, "volumes": volumes}}
            )
    return pods


def test_only_pods_without_ids_are_accepted(market: Release, number: int | None) -> None:
    """Every workload of the release, also those that do not run here."""
    if number is None:
        pytest.skip(platform.NOT_SERVED)
    ordinary = dict.fromkeys(("targetPlatform", *(f"{each}.targetPlatform" for each in SERVER_IMAGES)), "")
    fixed, assigned = (
        _pods(market.manifests(*values_of({f"shop.{path}": value for path, value in given.items()})))
        for given in (ordinary, {})
    )
    assert all(platform.REFUSED in platform.refused(market.cluster, pod) for pod in fixed)
    assert [platform.refused(market.cluster, pod) for pod in assigned] == [""] * len(fixed)


def test_release_works_with_the_ids_that_the_platform_assigns(market: Release, number: int | None) -> None:
    if number is None:
        pytest.skip(platform.NOT_SERVED)
    (job,) = market.migrations()
    assert job["status"]["succeeded"] == 1
    targets = {f"deploy/{NAME}": "server", f"{NAME}-postgresql-0": "postgresql", f"{NAME}-redis-0": "redis"}
    ids = {
        container: market.cluster.exec(target, "sh", "-c", "id -u; id -g", container=container).split()
        for target, container in targets.items()
    }
    assert ids == {container: [str(number), "0"] for container in targets.values()}
    with market.cluster.forward(f"service/{NAME}", 80) as url:
        api = httpx2.Client(base_url=f"{url}/api/v1", headers={"x-api-key": KEY.text}, timeout=10)
        with api:
            made = api.post("/keys", json={"name": "assigned", "scopes": ["admin"]})
            assert made.status_code == 201, made.text
            read = api.get("/keys").json()["items"]
    assert [key["name"] for key in read if key["prefix"] == made.json()["prefix"]] == ["assigned"]
