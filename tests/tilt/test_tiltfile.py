"""The Tiltfile parses, and the files and resources that it names exist."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.tilt.api import FUNCTIONS, HELM
from tests.tilt.tiltfile import ROOT, Object, Tilt, helm_command

WORKLOADS = {"Deployment", "StatefulSet", "Job", "CronJob"}
IMAGE = "slipway"


@pytest.fixture(scope="module")
def tilt() -> Tilt:
    if shutil.which("helm") is None:
        pytest.skip("there is no helm on this machine")
    if not list((ROOT / "chart" / "charts").glob("*.tgz")):
        pytest.skip("chart/charts is empty: `make chart-deps`")
    found = Tilt()
    found.run()
    return found


def _resources(tilt: Tilt) -> dict[str, Object]:
    """Every resource of the Tiltfile by its name."""
    return {
        call.get("new_name") or call.get("workload") or call["name"]: call
        for function in ("k8s_resource", "local_resource")
        for call in tilt.calls[function]
    }


def _workloads(tilt: Tilt) -> dict[str, Object]:
    return {found["metadata"]["name"]: found for found in tilt.manifests if found["kind"] in WORKLOADS}


def test_every_named_workload_is_rendered(tilt: Tilt) -> None:
    named = {call["workload"] for call in tilt.calls["k8s_resource"] if "workload" in call}
    assert named <= set(_workloads(tilt))
    assert {"slipway", "slipway-postgresql", "slipway-redis"} <= named


def test_everything_except_the_helm_test_pod_is_deployed(tilt: Tilt) -> None:
    hooks = [f for f in tilt.manifests if "helm.sh/hook" in (f["metadata"].get("annotations") or {})]
    assert [found["metadata"]["name"] for found in hooks] == []
    assert [found["kind"] for found in tilt.manifests if found["kind"] == "Pod"] == []
    assert {found["metadata"]["annotations"]["helm.sh/hook"] for found in tilt.left_out} == {"test"}


def test_no_definitions_of_custom_resources_are_deployed(tilt: Tilt) -> None:
    """By default `helm` of Tilt includes the CRDs of bundled charts, which the cluster may have from somebody else."""
    assert [f["metadata"]["name"] for f in tilt.manifests if f["kind"] == "CustomResourceDefinition"] == []
    (given,) = tilt.calls["helm"]
    assert given["skip_crds"] is True
    assert "--include-crds" in helm_command({**given, "skip_crds": False})


def test_every_resource_waits_for_resources_that_exist(tilt: Tilt) -> None:
    resources = _resources(tilt)
    waited = {name for call in resources.values() for name in call.get("resource_deps", [])}
    assert waited
    assert waited <= set(resources)


def test_buttons_run_only_on_demand(tilt: Tilt) -> None:
    buttons = {
        call["name"]: call for call in tilt.calls["local_resource"] if call.get("trigger_mode") == "manual"
    }
    assert set(buttons) == {"migrate", "seed", "test", "load"}
    # Without this `tilt ci` would wait for them.
    assert {call["auto_init"] for call in buttons.values()} == {False}
    for call in buttons.values():
        program = call["cmd"][0]
        assert shutil.which(program) or os.access(ROOT / program, os.X_OK) or program == "kubectl"


def test_jobs_take_no_part_in_live_updates(tilt: Tilt) -> None:
    """Tilt would answer each changed file with a new image and a new Job, because a finished one has no container."""
    resources = {call["workload"]: call for call in tilt.calls["k8s_resource"] if "workload" in call}
    images = {
        name: {
            container["image"].partition(":")[0]
            for container in _pod(found)["containers"] + (_pod(found).get("initContainers") or [])
        }
        for name, found in _workloads(tilt).items()
    }
    modes = {
        name: resources[name].get("trigger_mode", "auto") for name, used in images.items() if IMAGE in used
    }
    assert modes.pop("slipway") == "auto"
    assert {_workloads(tilt)[name]["kind"] for name in modes} == {"Job", "CronJob"}
    assert set(modes.values()) == {"manual"}
    # Tilt still deploys them at the start.
    assert [name for name in modes if resources[name].get("auto_init") is False] == []


def _pod(workload: Object) -> Object:
    spec = workload["spec"].get("jobTemplate", workload)["spec"]
    found: Object = spec["template"]["spec"]
    return found


def test_everything_that_the_image_is_built_from_is_watched(tilt: Tilt) -> None:
    (build,) = tilt.calls["custom_build"]
    text = Path(ROOT, "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    copied = {
        word.removeprefix("./")
        for line in re.findall(r"^(?:COPY|ADD) +(?!.*--from=)(.+)$", text, re.MULTILINE)
        for word in [word for word in line.split() if not word.startswith("--")][:-1]
    }
    allowed = re.findall(r"^!(.+)$", Path(ROOT, ".dockerignore").read_text("utf-8"), re.MULTILINE)
    assert copied == set(allowed)
    assert copied | {"Dockerfile", ".dockerignore", "Makefile", "tilt"} == set(build["deps"])
    assert all((ROOT / path).exists() for path in build["deps"])


def test_code_is_synced_and_all_else_rebuilds_the_image(tilt: Tilt) -> None:
    (build,) = tilt.calls["custom_build"]
    assert build["ref"] == IMAGE
    assert os.access(ROOT / build["command"].split()[0], os.X_OK)
    assert '"$EXPECTED_REF"' in build["command"]
    # Tilt requires the files that rebuild the image before those that are synced.
    full, sync = build["live_update"]
    assert full["call"] == "fall_back_on"
    assert {*full["files"], "service"} == set(build["deps"])
    assert (sync["local_path"], sync["remote_path"]) == ("service", "/tmp/live/service")
    assert 'LIVE = Path("/tmp/live")' in Path(ROOT, "tilt", "reload.py").read_text("utf-8")


def test_used_secret_is_created_and_none_is_generated(tilt: Tilt) -> None:
    assert [found for found in tilt.manifests if found["kind"] == "Secret"] == []
    program, namespace, name = _resources(tilt)["secret"]["cmd"]
    assert os.access(ROOT / program, os.X_OK)
    text = Path(ROOT, "tilt", "values.yaml").read_text("utf-8")
    assert text.count(f"existingSecret: {name}\n") == 6
    assert {found["metadata"]["namespace"] for found in _workloads(tilt).values()} == {namespace}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: FUNCTIONS["sync"].bind("sync", ("service",), {}), "sync needs remote_path"),
        (lambda: FUNCTIONS["k8s_yaml"].bind("k8s_yaml", (), {"yml": ""}), "k8s_yaml has no argument yml"),
        (lambda: FUNCTIONS["link"].bind("link", ("a", "b", "c"), {}), "link: more than 2 arguments"),
        (lambda: HELM.bind("helm", ("chart",), {"paths": "chart"}), "helm: an argument is given twice"),
        (lambda: HELM.bind("helm", ("chart",), {"skip_crds": "yes"}), "wrong type of skip_crds"),
    ],
)
def test_calls_that_tilt_refuses_are_refused(call: Any, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        call()
