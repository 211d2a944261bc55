"""Validates objects against CustomResourceDefinitions."""

import functools
import json
from typing import Any

import yaml

from tests.chart.rendering import Object, run
from tests.chart.reviewing import tool

VALIDATE = """
import json, jsonschema, sys
schema, found = json.load(sys.stdin)
for error in jsonschema.Draft202012Validator(schema).iter_errors(found):
    print(f"{error.json_path}: {error.message}")
"""


def problems(definition: str, manifest: Object) -> str:
    """Return what a CRD, given as YAML, does not allow in an object; empty if valid."""
    python = tool("kubernetes-validate/bin/python")
    schema = _schema(definition, manifest["apiVersion"].rpartition("/")[2])
    done = run(python, "-c", VALIDATE, text=json.dumps([schema, manifest]))
    assert done.returncode == 0, done.stderr
    return done.stdout


def _strict(schema: Any) -> Any:
    """Return the schema of a CRD, made strict as in an API server: unnamed fields are unknown."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: _strict(part) for name, part in schema.items()}
    closed = "properties" in schema and "type" in schema
    if closed and not schema.get("x-kubernetes-preserve-unknown-fields"):
        strict.setdefault("additionalProperties", False)
    return strict


@functools.cache
def _schema(definition: str, version: str) -> Any:
    read = yaml.load(definition, yaml.CSafeLoader)
    (found,) = (v for v in read["spec"]["versions"] if v["name"] == version and v["served"])
    schema = _strict(found["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return schema
