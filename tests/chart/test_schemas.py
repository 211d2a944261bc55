"""Every object of every profile is one that Kubernetes, or the definition of its custom resource, knows."""

import functools
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, PROFILES, Object, objects, profile, run, whole
from tests.chart.reviewing import tool

OLDEST, NEWEST = "1.30", "1.37"
OPERATOR = "kube-prometheus-stack/charts/crds/crds/crd-{}.yaml"
# Of each kind its definition: a file of tests/chart/tools, or of the bundled operator's package.
CUSTOM = {
    "HTTPRoute": "gateway.networking.k8s.io_httproutes.yaml",
    "Prometheus": OPERATOR.format("prometheuses"),
    "PrometheusRule": OPERATOR.format("prometheusrules"),
    "ScaledObject": "keda.sh_scaledobjects.yaml",
    "ServiceMonitor": OPERATOR.format("servicemonitors"),
}
VALIDATE = """
import json, jsonschema, sys
schema, found = json.load(sys.stdin)
for error in jsonschema.Draft202012Validator(schema).iter_errors(found):
    print(f"{error.json_path}: {error.message}")
"""


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_knows_every_field(version: str, tmp_path: Path) -> None:
    program = tool("kubernetes-validate/bin/kubernetes-validate")
    files = [tmp_path / (values or "defaults.yaml") for values in [None, *PROFILES]]
    for path, values in zip(files, [None, *PROFILES], strict=True):
        path.write_text(whole(*profile(values)), "utf-8")
    done = run(program, "--strict", "--kubernetes-version", version, *map(str, files))
    words = (done.stdout + done.stderr).splitlines()
    passed = [line for line in words if " passed for resource " in line]
    unknown = [line for line in words if line not in passed]
    assert [line for line in unknown if not any(f"kind {kind} " in line for kind in CUSTOM)] == []
    assert len(passed) > 200


def _strict(schema: Any) -> Any:
    """A definition's schema with the rule of an API server: fields that it does not name are unknown."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: _strict(part) for name, part in schema.items()}
    closed = "properties" in schema and "type" in schema
    if closed and not schema.get("x-kubernetes-preserve-unknown-fields"):
        strict.setdefault("additionalProperties", False)
    return strict


def _definition(path: str) -> str:
    if not path.startswith("kube-prometheus-stack/"):
        return Path(tool(f"crds/{path}")).read_text("utf-8")
    whole()  # skips the test where the package was not fetched
    (package,) = (CHART / "charts").glob("kube-prometheus-stack-*.tgz")
    with tarfile.open(package) as files:
        found = files.extractfile(path)
        assert found is not None
        return found.read().decode()


@functools.cache
def _schema(kind: str, version: str) -> Any:
    definition = yaml.load(_definition(CUSTOM[kind]), yaml.CSafeLoader)
    (found,) = (v for v in definition["spec"]["versions"] if v["name"] == version and v["served"])
    schema = _strict(found["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def _customs(kind: str) -> list[Object]:
    found = {
        json.dumps(found, sort_keys=True)
        for values in PROFILES
        for found in objects(whole(*profile(values)))
        if found["kind"] == kind
    }
    return [json.loads(text) for text in sorted(found)]


@pytest.mark.parametrize("kind", sorted(CUSTOM))
def test_the_definition_of_a_custom_resource_knows_every_field(kind: str) -> None:
    python = tool("kubernetes-validate/bin/python")
    found = _customs(kind)
    assert found
    for manifest in [*found, {**found[0], "spec": {**found[0]["spec"], "unknownThing": 1}}]:
        schema = _schema(kind, manifest["apiVersion"].rpartition("/")[2])
        done = run(python, "-c", VALIDATE, text=json.dumps([schema, manifest]))
        assert done.returncode == 0, done.stderr
        assert bool(done.stdout) == ("unknownThing" in manifest["spec"]), done.stdout


def test_every_custom_resource_is_one_of_these() -> None:
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
