"""Chart.lock belongs to the dependencies in Chart.yaml; otherwise `helm dependency build` refuses."""

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "chart"
LOCKED = ("name", "version", "repository")
# In the order of Helm's type Dependency (pkg/chart/v2).
FIELDS = (*LOCKED, "condition", "tags", "enabled", "import-values", "alias")


def _only(dependencies: list[dict[str, Any]], fields: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{key: each[key] for key in fields if key in each} for each in dependencies]


def test_lock_is_of_these_dependencies() -> None:
    """As Helm computes it: HashReq in its internal/resolver."""
    wanted = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))["dependencies"]
    lock = yaml.safe_load((CHART / "Chart.lock").read_text("utf-8"))
    assert lock["dependencies"] == _only(wanted, LOCKED)
    text = json.dumps([_only(wanted, FIELDS), _only(wanted, LOCKED)], separators=(",", ":"))
    assert lock["digest"] == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
