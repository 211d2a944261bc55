"""Runs the Tiltfile with a real Starlark. Tilt's functions only record their calls, except `helm`, which runs."""

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import starlark
import yaml

ROOT = Path(__file__).parents[2]
# Functions of Tilt's API that the Tiltfile may call, with the arguments that they accept.
# Source: the API reference at docs.tilt.dev.
KNOWN = {
    "custom_build": {
        "deps",
        "ignore",
        "live_update",
        "tag",
        "disable_push",
        "skips_local_docker",
        "env",
        "dir",
    },
    "fall_back_on": set[str](),
    "sync": set[str](),
    "watch_file": set[str](),
    "k8s_yaml": {"allow_duplicates"},
    "k8s_resource": {
        "new_name",
        "port_forwards",
        "extra_pod_selectors",
        "trigger_mode",
        "resource_deps",
        "objects",
        "auto_init",
        "pod_readiness",
        "links",
        "labels",
        "discovery_strategy",
    },
    "local_resource": {
        "cmd",
        "deps",
        "trigger_mode",
        "resource_deps",
        "ignore",
        "auto_init",
        "serve_cmd",
        "env",
        "labels",
        "links",
        "allow_parallel",
        "dir",
    },
    "link": set[str](),
}
# Tilt skips manifests from a folder `tests` (its internal/tiltfile/helm.go): the pods of `helm test`.
OF_HELM_TEST = re.compile(r"^# Source: .*/tests/", re.MULTILINE)
HELM = {"name", "namespace", "values", "set", "kube_version", "skip_crds"}


def _objects(text: str) -> list[dict[str, Any]]:
    return [found for found in yaml.safe_load_all(text) if found]


@dataclass
class Tilt:
    """The calls that a Tiltfile made: positional and named arguments, in order, by function."""

    calls: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = field(default_factory=dict)
    manifests: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)

    def _note(self, name: str, positional: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
        unknown = set(named) - KNOWN[name]
        assert not unknown, f"{name} of Tilt has no argument {', '.join(sorted(unknown))}"
        self.calls.setdefault(name, []).append((positional, named))
        return {"call": name, "arguments": list(positional), **named}

    def helm(self, path: str, **named: Any) -> str:
        assert set(named) <= HELM
        values = [word for file in named["values"] for word in ("--values", file)]
        where = ("--namespace", named["namespace"])
        command = ("helm", "template", named["name"], path, *where, *values)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
        parts = re.split(r"^---\n", done.stdout, flags=re.MULTILINE)
        text = "---\n".join(part for part in parts if not OF_HELM_TEST.search(part))
        self.manifests = _objects(text)
        self.left_out = [found for part in parts if OF_HELM_TEST.search(part) for found in _objects(part)]
        return text

    def run(self) -> None:
        """Raises Starlark's error if the Tiltfile is wrong."""
        module = starlark.Module()
        module["TRIGGER_MODE_MANUAL"] = "manual"
        module.add_callable("helm", self.helm)
        module.add_callable("decode_yaml_stream", _objects)
        for name in KNOWN:
            module.add_callable(name, self._function(name))
        dialect = starlark.Dialect.extended()
        dialect.enable_f_strings = False
        text = (ROOT / "Tiltfile").read_text("utf-8")
        starlark.eval(module, starlark.parse("Tiltfile", text, dialect), starlark.Globals.standard())

    def _function(self, name: str) -> Any:
        def call(*positional: Any, **named: Any) -> dict[str, Any]:
            return json.loads(json.dumps(self._note(name, positional, named)))  # type: ignore[no-any-return]

        return call
