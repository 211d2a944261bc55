"""Another chart, which depends on this one and gives it values."""

import json
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.cluster import ROOT, run
from tests.cluster.release import BUNDLED, HELM, NAME, SERVER_IMAGES


def values(image: str) -> dict[str, Any]:
    """Return the values that the other chart gives this one."""
    repository, _, tag = image.rpartition(":")
    found: dict[str, Any] = yaml.safe_load((ROOT / BUNDLED).read_text("utf-8"))
    for server, number in SERVER_IMAGES.items():
        found[server]["image"]["tag"] = number
    sidecar = {
        "name": "sidecar",
        "image": image,
        "command": ["sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    added = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-added"}}
    return found | {
        "enabled": True,
        "fullnameOverride": NAME,
        "drain": 1,  # no rollout here: only the end of the test waits for it
        "image": {"repository": repository, "tag": tag},
        "security": {"adminKey": {"existingSecret": "mine"}},
        "extraContainers": [sidecar],
        "extraObjects": [{**added, "data": {"told": "by {{ .Release.Name }}"}}],
        "extraVolumes": [{"name": "added", "configMap": {"name": f"{NAME}-added"}}],
        "extraVolumeMounts": [{"name": "added", "mountPath": "/etc/added"}],
    }


def write(folder: Path, given: dict[str, Any]) -> Path:
    """Write a chart that depends on this one, as `shop` and only if `shop.enabled`, and gives it values."""
    (folder / "charts").mkdir()
    run(HELM, "package", str(ROOT / "chart"), "--destination", str(folder / "charts"), seconds=60)
    version = yaml.safe_load((ROOT / "chart" / "Chart.yaml").read_text("utf-8"))["version"]
    needed = {"name": "slipway", "version": version, "alias": "shop", "condition": "shop.enabled"}
    chart = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": [needed]}
    (folder / "Chart.yaml").write_text(json.dumps(chart), "utf-8")
    (folder / "values.yaml").write_text(json.dumps({"shop": given}), "utf-8")
    return folder
