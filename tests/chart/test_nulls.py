"""Helm drops values set to null: required ones are reported by name, and the chart works without the others."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chart.rendering import CHART, VALUES, helm_or_skip, objects, own, render
from tests.chart.test_values import GROUPS, LEAVES

Path = tuple[str, ...]


def _must(schema: dict[str, Any], path: Path = ()) -> Iterator[Path]:
    for name in schema.get("required", []):
        yield (*path, name)
    for name, member in schema.get("properties", {}).items():
        yield from _must(member, (*path, name))


MUST = set(_must(json.loads((CHART / "values.schema.json").read_text("utf-8"))))
USED: dict[str, Any] = {
    "autoscaling": {"enabled": True},
    "dashboards": {"enabled": True},
    "ingress": {"enabled": True, "hosts": ["a.example.com"]},
    "httpRoute": {"enabled": True, "hosts": ["a.example.com"], "parentRefs": [{"name": "gateway"}]},
    "pgadmin": {"enabled": True, "email": "a@example.com"},
    "prometheusRule": {"enabled": True},
    "redisCommander": {"enabled": True},
    "serviceMonitor": {"enabled": True},
}
"""What makes all objects that values are for."""


def _nulls(paths: set[Path]) -> str:
    nulls: dict[str, Any] = {}
    for path in paths:
        group = nulls
        for name in path[:-1]:
            group = group.setdefault(name, {})
        group[path[-1]] = None
    return json.dumps(nulls)


def _steps(path: str) -> Path:
    """Return the names in the path of a leaf; names of annotations contain dots."""
    group, mark, annotation = path.partition("annotations.")
    return (*group.rstrip(".").split("."), "annotations", annotation) if mark else tuple(path.split("."))


def _free() -> set[Path]:
    """Return the leaves that may be null, without `config`, probes and quantities, which have separate schemas."""
    paths = {_steps(path) for path in LEAVES}
    return {path for path in paths - MUST if path[0] not in {"config", "probes", "resources"}}


@pytest.mark.parametrize("helm", ["helm", "helm3"])
@pytest.mark.parametrize("level", [1, 2, 3])
def test_null_for_a_required_value_names_the_value(level: int, helm: str) -> None:
    wanted = {path for path in MUST if len(path) == level}
    done = render("--values", "-", text=_nulls(wanted), helm=helm_or_skip(helm))
    assert done.returncode != 0
    told = re.findall(r"- at '/?([^']*)': missing propert\w+ (.*)", done.stderr)
    missed = {
        (*filter(None, at.split("/")), name) for at, names in told for name in re.findall(r"'([^']+)'", names)
    }
    assert missed == wanted


def test_every_group_is_required() -> None:
    top = {(name,) for name, value in VALUES.items() if isinstance(value, dict) and value}
    assert top <= MUST
    assert {tuple(group.split(".")) for group in GROUPS if group} <= MUST


def _nothing(found: Any, path: str = "") -> Iterator[str]:
    """Return the places where an object has null, or text that a template prints for a missing value."""
    if found is None or (isinstance(found, str) and found in {"null", "<nil>"}):
        yield path
    members = (
        found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    )
    for name, member in members:
        yield from _nothing(member, f"{path}/{name}")


@pytest.mark.parametrize("used", [USED, {}])
def test_null_values_never_break_other_templates(used: dict[str, Any]) -> None:
    given: set[Path] = {(group, name) for group, members in used.items() for name in members}
    # Then nobody could scrape the metrics, which is refused.
    given |= {("networkPolicy", "metrics", "from")}
    mirror = ("--set", "global.imageRegistry=mirror.example.com")  # so that the image needs no tag
    text = own("--set-json", json.dumps(used), "--set-json", _nulls(_free() - given), *mirror)
    found = [f"{at['kind']}{path}" for at in objects(text) for path in _nothing(at)]
    assert found == []
