"""Renders the chart with a real Helm."""

import functools
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).parents[2] / "chart"
PROFILES = sorted(path.name for path in (CHART / "ci").glob("*.yaml"))
TAGGED = str(Path(__file__).with_name("tagged.yaml"))
SECONDS = 60
# Helm runs for a tenth of a second, and would spend a quarter of it on collecting garbage.
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "GOGC": "off"}
WORKLOADS = {"Deployment", "StatefulSet", "Job", "CronJob", "DaemonSet", "Pod"}

Object = dict[str, Any]
VALUES: Object = yaml.load((CHART / "values.yaml").read_text("utf-8"), yaml.CSafeLoader)


def helm_or_skip(name: str) -> str:
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name} on this machine")
    return name


def run(*command: str, helm: str = "helm", text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Return the output of a program, with a text as its input. Helm gets a tag, which the default image needs."""
    renders = command[1] in {"install", "lint", "template"}
    return subprocess.run(
        (*command[:2], "--values", TAGGED, *command[2:]) if renders else command,
        cwd=CHART,
        capture_output=True,
        input=text,
        text=True,
        timeout=SECONDS,
        check=False,
        env={**ENVIRONMENT, "HELM": helm},
    )


@functools.cache
def _bare() -> tempfile.TemporaryDirectory[str]:
    """Return a copy of the chart without dependencies, made once per process, as chart/render does."""
    folder = tempfile.TemporaryDirectory()
    copy = Path(folder.name, "slipway")
    shutil.copytree(CHART, copy, ignore=shutil.ignore_patterns("charts", "ci"))
    manifest = yaml.safe_load((copy / "Chart.yaml").read_text("utf-8"))
    del manifest["dependencies"]
    (copy / "Chart.yaml").write_text(yaml.safe_dump(manifest), "utf-8")
    return folder


def bare() -> str:
    """Return the folder of a copy of the chart without dependencies."""
    return str(Path(_bare().name, "slipway"))


def render(
    *arguments: str, helm: str = "helm", text: str | None = None, release: str = "slipway"
) -> subprocess.CompletedProcess[str]:
    """Render the chart without its dependencies."""
    return run(helm, "template", release, bare(), *arguments, helm=helm, text=text)


@functools.lru_cache(maxsize=512)
def own(*arguments: str, helm: str = "helm") -> str:
    """Return the chart's own manifests as text, without dependencies. Fails with Helm's message."""
    done = render("--namespace", "shop", *arguments, helm=helm)
    assert done.returncode == 0, done.stderr
    return done.stdout


@functools.lru_cache(maxsize=64)
def whole(*arguments: str, helm: str = "helm") -> str:
    """Return all manifests, dependencies included. Skips the test if they were not fetched."""
    if not list((CHART / "charts").glob("*.tgz")):
        pytest.skip("chart/charts is empty: run `make chart-deps`")
    done = run(helm, "template", "slipway", str(CHART), "--namespace", "shop", *arguments, helm=helm)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr, done.stderr
    return done.stdout


def notes(*arguments: str) -> str:
    """Return the notes that Helm prints after an install, without dependencies."""
    done = run("helm", "install", "slipway", bare(), "--namespace", "shop", "--dry-run=client", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("\nNOTES:\n")[2]


def profile(name: str | None) -> tuple[str, ...]:
    """Return the arguments for a profile in chart/ci; none for the defaults."""
    return ("--values", str(CHART / "ci" / name)) if name else ()


@functools.lru_cache(maxsize=64)
def objects(text: str) -> list[Object]:
    """Return the objects of a rendering. The result is cached: do not modify it."""
    return [found for found in yaml.load_all(text, yaml.CSafeLoader) if found]


def one(text: str, kind: str, name: str = "") -> Object:
    """Return the only object of a kind, or the one with the name."""
    found = [o for o in objects(text) if o["kind"] == kind and name in {"", o["metadata"]["name"]}]
    assert len(found) == 1, f"{len(found)} {kind}s"
    return found[0]


def scalars(found: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and the value of each scalar of an object. Fails if a key is no text."""
    members = (
        found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else None
    )
    if members is None:
        yield path, found
        return
    for name, member in members:
        assert isinstance(name, str | int), path
        assert isinstance(name, str) or isinstance(found, list), f"{path}: the key {name!r} is no text"
        yield from scalars(member, f"{path}/{name}")


def template(workload: Object) -> Object:
    """Return the pod template of a workload, or the pod itself."""
    if workload["kind"] == "Pod":
        return workload
    spec = workload["spec"]
    found: Object = (spec["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else spec)["template"]
    return found


def pods(text: str) -> dict[str, Object]:
    """Return the pod specs of all workloads, by `Kind/name`."""
    return {
        f"{found['kind']}/{found['metadata']['name']}": template(found)["spec"]
        for found in objects(text)
        if found["kind"] in WORKLOADS
    }


def containers(pod: Object) -> list[Object]:
    return [*(pod.get("initContainers") or []), *pod["containers"]]


def environment(container: Object) -> dict[str, str]:
    names = [variable["name"] for variable in container["env"]]
    assert len(names) == len(set(names)), "a name stands twice"
    return {variable["name"]: variable["value"] for variable in container["env"]}
