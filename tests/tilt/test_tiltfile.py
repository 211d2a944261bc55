"""The Tiltfile parses, and the files and resources that it names exist."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.tilt.tiltfile import ROOT, Tilt


@pytest.fixture(scope="module")
def tilt() -> Tilt:
    if shutil.which("helm") is None:
        pytest.skip("there is no helm on this machine")
    if not list((ROOT / "chart" / "charts").glob("*.tgz")):
        pytest.skip("chart/charts is empty: `make chart-deps`")
    found = Tilt()
    found.run()
    return found


def _resources(tilt: Tilt) -> dict[str, dict[str, Any]]:
    """Every resource of the Tiltfile by its name."""
    named = {}
    for function in ("k8s_resource", "local_resource"):
        for positional, arguments in tilt.calls[function]:
            named[arguments.get("new_name") or positional[0]] = arguments
    return named


def test_every_named_workload_is_rendered(tilt: Tilt) -> None:
    kinds = {"Deployment", "StatefulSet", "Job", "CronJob"}
    workloads = {found["metadata"]["name"] for found in tilt.manifests if found["kind"] in kinds}
    named = {positional[0] for positional, _ in tilt.calls["k8s_resource"] if positional}
    assert named <= workloads
    assert {"slipway", "slipway-postgresql", "slipway-redis"} <= named


def test_everything_except_the_helm_test_pod_is_deployed(tilt: Tilt) -> None:
    hooks = [f for f in tilt.manifests if "helm.sh/hook" in (f["metadata"].get("annotations") or {})]
    assert [found["metadata"]["name"] for found in hooks] == []
    assert [found["kind"] for found in tilt.manifests if found["kind"] == "Pod"] == []
    assert {found["metadata"]["annotations"]["helm.sh/hook"] for found in tilt.left_out} == {"test"}


def test_every_resource_waits_for_resources_that_exist(tilt: Tilt) -> None:
    resources = _resources(tilt)
    waited = {name for arguments in resources.values() for name in arguments.get("resource_deps", [])}
    assert waited
    assert waited <= set(resources)


def test_buttons_run_only_on_demand(tilt: Tilt) -> None:
    buttons = {
        name: arguments
        for name, arguments in _resources(tilt).items()
        if arguments.get("trigger_mode") == "manual"
    }
    assert set(buttons) == {"migrate", "seed", "test", "load"}
    # Without this `tilt ci` would wait for them.
    assert {arguments["auto_init"] for arguments in buttons.values()} == {False}
    for arguments in buttons.values():
        program = arguments["cmd"][0]
        assert shutil.which(program) or os.access(ROOT / program, os.X_OK) or program == "kubectl"


def test_image_build_uses_existing_files_and_syncs_code(tilt: Tilt) -> None:
    (((name, command), arguments),) = tilt.calls["custom_build"]
    assert os.access(ROOT / command.split()[0], os.X_OK)
    assert '"$EXPECTED_REF"' in command
    assert all((ROOT / path).exists() for path in arguments["deps"])
    images = {
        container["image"].partition(":")[0]
        for found in tilt.manifests
        if found["kind"] == "Deployment"
        for container in found["spec"]["template"]["spec"]["containers"]
    }
    assert name in images
    # Tilt requires the files that rebuild the image before those that are synced.
    full, sync = arguments["live_update"]
    assert full["call"] == "fall_back_on"
    assert {*full["arguments"][0], "service"} == set(arguments["deps"])
    assert sync["arguments"] == ["service", "/tmp/live/service"]
    assert 'LIVE = Path("/tmp/live")' in Path(ROOT, "tilt", "reload.py").read_text("utf-8")


def test_used_secret_is_created_and_none_is_generated(tilt: Tilt) -> None:
    assert [found for found in tilt.manifests if found["kind"] == "Secret"] == []
    program, namespace, name = _resources(tilt)["secret"]["cmd"]
    assert os.access(ROOT / program, os.X_OK)
    text = Path(ROOT, "tilt", "values.yaml").read_text("utf-8")
    assert text.count(f"existingSecret: {name}\n") == 6
    assert {found["metadata"]["namespace"] for found in tilt.manifests if found["kind"] == "Deployment"} == {
        namespace
    }
