"""The chart on OpenShift, and as a dependency of another chart."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.chart.rendering import (
    WORKLOADS,
    Object,
    bare,
    containers,
    helm_or_skip,
    objects,
    own,
    run,
    template,
    whole,
)

IDS = {"runAsUser", "runAsGroup", "fsGroup", "seLinuxOptions"}
SELINUX = ("--set", "podSecurityContext.seLinuxOptions.level=s0")
OPENSHIFT = ("--api-versions", "route.openshift.io/v1")
TOOLS = '{"redisCommander": {"enabled": true}, "pgadmin": {"enabled": true, "email": "a@example.com"}}'


def _contexts(text: str) -> list[Object]:
    pods = [template(found)["spec"] for found in objects(text) if found["kind"] in WORKLOADS]
    parts = [part for pod in pods for part in (pod, *containers(pod))]
    return [part["securityContext"] for part in parts]


@pytest.mark.parametrize("how", [OPENSHIFT, ("--set", "targetPlatform=openshift")])
def test_openshift_assigns_users_and_groups(how: tuple[str, ...]) -> None:
    found = _contexts(own(*how, *SELINUX, "--set-json", TOOLS))
    assert [context for context in found if IDS & set(context)] == []
    assert all(context["runAsNonRoot"] for context in found)


def test_bundled_servers_detect_openshift_too() -> None:
    assert [context for context in _contexts(whole(*OPENSHIFT)) if IDS & set(context)] == []
    assert [context for context in _contexts(whole()) if IDS & set(context)]


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """A chart that depends on the packaged one, as `shop` and only if `shop.enabled`."""
    helm_or_skip("helm")
    folder = tmp_path / "parent"
    (folder / "charts").mkdir(parents=True)
    (folder / "templates").mkdir()
    done = run("helm", "package", bare(), "--destination", str(folder / "charts"))
    assert done.returncode == 0, done.stderr
    slipway = yaml.safe_load(Path(bare(), "Chart.yaml").read_text("utf-8"))
    needed = {"name": "slipway", "version": slipway["version"], "alias": "shop", "condition": "shop.enabled"}
    chart = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": [needed]}
    (folder / "Chart.yaml").write_text(json.dumps(chart), "utf-8")
    return folder


def _render(parent: Path, helm: str, **values: object) -> subprocess.CompletedProcess[str]:
    (parent / "values.yaml").write_text(json.dumps(values), "utf-8")
    return run(helm, "template", "market", str(parent), "--namespace", "shop")


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_parent_chart_installs_it_under_a_condition_and_an_alias(parent: Path, helm: str) -> None:
    helm_or_skip(helm)
    shared = {"imageRegistry": "mirror.example.com", "imagePullSecrets": [{"name": "mirror"}], "team": "shop"}
    done = _render(parent, helm, **{"global": shared, "shop": {"enabled": True, "replicaCount": 3}})
    assert done.returncode == 0, done.stderr
    (deployment,) = (found for found in objects(done.stdout) if found["kind"] == "Deployment")
    assert deployment["metadata"]["name"] == "market-shop"
    assert deployment["spec"]["replicas"] == 3
    pod = template(deployment)["spec"]
    assert pod["imagePullSecrets"] == [{"name": "mirror"}]
    assert {c["image"] for c in containers(pod)} == {"mirror.example.com/slipway:0.1.0"}
    done = _render(parent, helm, shop={"enabled": False})
    assert done.returncode == 0, done.stderr
    assert objects(done.stdout) == []


def test_parent_chart_reports_invalid_values_of_ours(parent: Path) -> None:
    done = _render(parent, "helm", shop={"enabled": True, "replicas": 3})
    assert done.returncode != 0
    assert "additional properties 'replicas' not allowed" in done.stderr
