"""Runs the Tiltfile with a real Starlark. Tilt's functions record their calls, except `helm`, which runs."""

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import starlark
import yaml

from tests.tilt.api import FUNCTIONS, HELM

ROOT = Path(__file__).parents[2]
# Tilt leaves out manifests from a folder `tests` (its internal/tiltfile/helm.go): the pods of `helm test`.
OF_HELM_TEST = re.compile(r"^# Source: .*/tests/", re.MULTILINE)

Object = dict[str, Any]


def _objects(text: str) -> list[Object]:
    return [found for found in yaml.safe_load_all(text) if found]


def _words(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def helm_command(given: dict[str, Any]) -> list[str]:
    """Return the command that Tilt runs for `helm` with these arguments."""
    command = ["helm", "template", given.get("name") or "chart", given["paths"]]
    command += ["--namespace", given["namespace"]] if given.get("namespace") else []
    command += ["--kube-version", given["kube_version"]] if given.get("kube_version") else []
    command += [] if given.get("skip_crds") else ["--include-crds"]
    command += [word for file in _words(given.get("values", [])) for word in ("--values", file)]
    return command + [word for pair in _words(given.get("set", [])) for word in ("--set", pair)]


@dataclass
class Tilt:
    """The calls that a Tiltfile made, by function: the arguments of each by name, in order."""

    calls: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    manifests: list[Object] = field(default_factory=list)
    left_out: list[Object] = field(default_factory=list)

    def helm(self, *positional: Any, **named: Any) -> str:
        given = HELM.bind("helm", positional, named)
        self.calls.setdefault("helm", []).append(given)
        done = subprocess.run(
            helm_command(given), cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
        )
        parts = done.stdout.split("---\n")
        found = [each for part in parts if not OF_HELM_TEST.search(part) for each in _objects(part)]
        for each in found if given.get("namespace") else []:
            each["metadata"].setdefault("namespace", given["namespace"])
        self.manifests += found
        self.left_out += [each for part in parts if OF_HELM_TEST.search(part) for each in _objects(part)]
        return yaml.safe_dump_all(found)

    def run(self, path: str = "Tiltfile") -> None:
        """Raises Starlark's error if the Tiltfile is wrong."""
        module = starlark.Module()
        module["TRIGGER_MODE_AUTO"] = "auto"
        module["TRIGGER_MODE_MANUAL"] = "manual"
        module.add_callable("helm", self.helm)
        module.add_callable("decode_yaml_stream", _objects)
        for name in FUNCTIONS:
            module.add_callable(name, self._function(name))
        dialect = starlark.Dialect.extended()
        dialect.enable_f_strings = False
        text = (ROOT / path).read_text("utf-8")
        starlark.eval(module, starlark.parse(path, text, dialect), starlark.Globals.standard())

    def _function(self, name: str) -> Any:
        def call(*positional: Any, **named: Any) -> dict[str, Any]:
            given = json.loads(json.dumps(FUNCTIONS[name].bind(name, positional, named)))
            self.calls.setdefault(name, []).append(given)
            return {"call": name, **given}

        return call
