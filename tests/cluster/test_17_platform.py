"""What a platform does with the chart: another chart installs it, with containers and objects of its own and the first
API key from a Secret; passwords change; a key of the Secret gets lost; the cluster refuses fixed users and groups.
"""

import base64
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from kubernetes.client import ApiException

from service.security.api_keys import key_format
from tests.chart.rendering import WORKLOADS, objects, template
from tests.cluster.cluster import ROOT, Cluster, Object, run, wait_until
from tests.cluster.loading import load
from tests.cluster.namespaces import additional_namespace
from tests.cluster.release import BUNDLED, HELM, NAME, SERVER, SERVER_IMAGES, Release
from tests.cluster.servers import secret

KEY = key_format.generate()
FIXED = ("runAsUser", "runAsGroup", "fsGroup")
REFUSED = "the cluster assigns users and groups"


def _values(image: str) -> dict[str, Any]:
    """Return the values that the other chart gives this one."""
    repository, _, tag = image.rpartition(":")
    values: dict[str, Any] = yaml.safe_load((ROOT / BUNDLED).read_text("utf-8"))
    for server, number in SERVER_IMAGES.items():
        values[server]["image"]["tag"] = number
    sidecar = {
        "name": "sidecar",
        "image": image,
        "command": ["sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    added = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-added"}}
    return values | {
        "enabled": True,
        "fullnameOverride": NAME,
        "drain": 1,  # no rollout here: only the end of the test waits for it
        "image": {"repository": repository, "tag": tag},
        "security": {"adminKey": {"existingSecret": "mine"}},
        "extraContainers": [sidecar],
        "extraObjects": [{**added, "data": {"told": "by {{ .Release.Name }}"}}],
        "extraVolumes": [{"name": "added", "configMap": {"name": f"{NAME}-added"}}],
        "extraVolumeMounts": [{"name": "added", "mountPath": "/etc/added"}],
    }


def _parent(folder: Path, image: str) -> Path:
    """Write a chart that depends on this one, as `shop` and only if `shop.enabled`."""
    (folder / "charts").mkdir()
    run(HELM, "package", str(ROOT / "chart"), "--destination", str(folder / "charts"), seconds=60)
    version = yaml.safe_load((ROOT / "chart" / "Chart.yaml").read_text("utf-8"))["version"]
    needed = {"name": "slipway", "version": version, "alias": "shop", "condition": "shop.enabled"}
    chart = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": [needed]}
    (folder / "Chart.yaml").write_text(json.dumps(chart), "utf-8")
    (folder / "values.yaml").write_text(json.dumps({"shop": _values(image)}), "utf-8")
    return folder


@pytest.fixture(scope="module")
def market(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """The release of the other chart."""
    parent = _parent(tmp_path_factory.mktemp("parent"), cluster.image)
    with additional_namespace(cluster, "market") as namespace:
        namespace.create(secret("mine", "admin-key", KEY.text))
        found = Release(namespace, values=str(parent / "values.yaml"), chart=str(parent))
        found.install()
        yield found


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
    # A changed pod makes the kubelet read the Secret immediately.
    market.cluster.kubectl("annotate", "pods", "--selector", SERVER, "slipway.test/rotated=true")
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


@pytest.fixture
def refusing(market: Release) -> Iterator[Cluster]:
    """The namespace, in which pods may not choose their user or group, as by OpenShift's default."""
    namespace = market.cluster.namespace
    name = f"{namespace}-no-fixed-ids"
    rules = [
        *(f"!has(object.spec.securityContext) || !has(object.spec.securityContext.{id_})" for id_ in FIXED),
        "object.spec.containers.all(c, !has(c.securityContext) || !has(c.securityContext.runAsUser))",
    ]
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    only = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    specs: dict[str, Object] = {
        "ValidatingAdmissionPolicy": {
            "matchConstraints": {"resourceRules": [pods], "namespaceSelector": only},
            "validations": [{"expression": rule, "message": REFUSED} for rule in rules],
        },
        "ValidatingAdmissionPolicyBinding": {"policyName": name, "validationActions": ["Deny"]},
    }
    try:
        for kind, spec in specs.items():
            market.cluster.delete(kind, name)  # a killed run leaves it behind
            api = "admissionregistration.k8s.io/v1"
            market.cluster.create({"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec})
        yield market.cluster
    finally:
        for kind in specs:
            market.cluster.delete(kind, name)


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


def _reason(cluster: Cluster, pod: Object) -> str:
    """Return why the cluster refuses a pod; empty if it does not."""
    try:
        cluster.create(pod, dry_run=True)
    except ApiException as error:
        return str(error.body)
    return ""


def test_pods_of_openshift_choose_no_user_or_group(market: Release, refusing: Cluster) -> None:
    """Nothing here assigns ids, so pods are only tried."""

    fixed, assigned = (
        _pods(market.manifests(*arguments)) for arguments in ((), ("--api-versions", "route.openshift.io/v1"))
    )
    wait_until(
        "the policy refuses every pod",
        lambda: all(REFUSED in _reason(refusing, pod) for pod in fixed),
        seconds=30,
    )
    assert [_reason(refusing, pod) for pod in assigned] == [""] * len(fixed)
