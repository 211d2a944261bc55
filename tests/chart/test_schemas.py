"""Every object of every profile is valid for Kubernetes or its CRD."""

import json
import tarfile
from pathlib import Path

import pytest

from tests.chart.definitions import problems
from tests.chart.rendering import CHART, PROFILES, Object, objects, own, profile, run, whole
from tests.chart.reviewing import tool
from tests.chart.test_unusual_values import FILE as UNUSUAL

OLDEST, NEWEST = "1.30", "1.37"
OPERATOR = "kube-prometheus-stack/charts/crds/crds/crd-{}.yaml"
# The CRD of each kind: a file from tests/chart/tools, or from the bundled operator's package.
CUSTOM = {
    "HTTPRoute": "gateway.networking.k8s.io_httproutes.yaml",
    "Prometheus": OPERATOR.format("prometheuses"),
    "PrometheusRule": OPERATOR.format("prometheusrules"),
    "ScaledObject": "keda.sh_scaledobjects.yaml",
    "ServiceMonitor": OPERATOR.format("servicemonitors"),
}


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_manifests_match_the_kubernetes_schemas(version: str, tmp_path: Path) -> None:
    program = tool("kubernetes-validate/bin/kubernetes-validate")
    files = [tmp_path / (values or "defaults.yaml") for values in [None, *PROFILES]]
    for path, values in zip(files, [None, *PROFILES], strict=True):
        path.write_text(whole(*profile(values)), "utf-8")
    files.append(tmp_path / "unusual.yaml")
    files[-1].write_text(own("--values", str(UNUSUAL)), "utf-8")
    done = run(program, "--strict", "--kubernetes-version", version, *map(str, files))
    words = (done.stdout + done.stderr).splitlines()
    passed = [line for line in words if " passed for resource " in line]
    unknown = [line for line in words if line not in passed]
    assert [line for line in unknown if not any(f"kind {kind} " in line for kind in CUSTOM)] == []
    assert len(passed) > 200


def _definition(path: str) -> str:
    if not path.startswith("kube-prometheus-stack/"):
        return Path(tool(f"crds/{path}")).read_text("utf-8")
    whole()  # skips the test where the package was not fetched
    (package,) = (CHART / "charts").glob("kube-prometheus-stack-*.tgz")
    with tarfile.open(package) as files:
        found = files.extractfile(path)
        assert found is not None
        return found.read().decode()


def _customs(kind: str) -> list[Object]:
    found = {
        json.dumps(found, sort_keys=True)
        for values in PROFILES
        for found in objects(whole(*profile(values)))
        if found["kind"] == kind
    }
    return [json.loads(text) for text in sorted(found)]


@pytest.mark.parametrize("kind", sorted(CUSTOM))
def test_custom_resources_match_their_definitions(kind: str) -> None:
    definition = _definition(CUSTOM[kind])
    found = _customs(kind)
    assert found
    for manifest in [*found, {**found[0], "spec": {**found[0]["spec"], "unknownThing": 1}}]:
        unknown = problems(definition, manifest)
        assert bool(unknown) == ("unknownThing" in manifest["spec"]), unknown


def test_every_custom_resource_has_a_definition() -> None:
    groups = {
        "v1",
        "apps",
        "batch",
        "policy",
        "autoscaling",
        "networking.k8s.io",
        "rbac.authorization.k8s.io",
    }
    kinds = {
        found["kind"]
        for values in PROFILES
        for found in objects(whole(*profile(values)))
        if found["apiVersion"].partition("/")[0] not in groups
    }
    assert kinds == set(CUSTOM)
