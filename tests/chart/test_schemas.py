"""Every object of every profile is one that Kubernetes, or the definition of its custom resource, knows."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import PROFILES, Object, objects, own, profile, run
from tests.chart.reviewing import renderings, tool

OLDEST, NEWEST = "1.30", "1.37"
CUSTOM = {
    "HTTPRoute": "gateway.networking.k8s.io_httproutes.yaml",
    "PrometheusRule": "monitoring.coreos.com_prometheusrules.yaml",
    "ScaledObject": "keda.sh_scaledobjects.yaml",
    "ServiceMonitor": "monitoring.coreos.com_servicemonitors.yaml",
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
    files = [str(path) for path in renderings(tmp_path)]
    done = run(program, "--strict", "--kubernetes-version", version, *files)
    words = (done.stdout + done.stderr).splitlines()
    passed = [line for line in words if " passed for resource " in line]
    unknown = [line for line in words if line not in passed]
    assert [line for line in unknown if not any(f"kind {kind} " in line for kind in CUSTOM)] == []
    assert len(passed) > 80


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


def _schema(path: str, version: str) -> Any:
    definition = yaml.safe_load(Path(path).read_text("utf-8"))
    (found,) = (v for v in definition["spec"]["versions"] if v["name"] == version and v["served"])
    schema = _strict(found["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def _customs(kind: str) -> list[Object]:
    return [found for values in PROFILES for found in objects(own(*profile(values))) if found["kind"] == kind]


@pytest.mark.parametrize("kind", sorted(CUSTOM))
def test_the_definition_of_a_custom_resource_knows_every_field(kind: str) -> None:
    python = tool("kubernetes-validate/bin/python")
    definition = tool(f"crds/{CUSTOM[kind]}")
    found = _customs(kind)
    assert found
    for manifest in [*found, {**found[0], "spec": {**found[0]["spec"], "unknownThing": 1}}]:
        schema = _schema(definition, manifest["apiVersion"].rpartition("/")[2])
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
        for found in objects(own(*profile(values)))
        if found["apiVersion"].partition("/")[0] not in groups
    }
    assert kinds == set(CUSTOM)
