"""Every value in values.yaml is used and typed; unknown values are refused."""

import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from chart.reference import dependencies
from tests.chart.changes import CHANGES, ELSEWHERE, NOT_AS_GIVEN, ONLY_REFUSES, is_text
from tests.chart.rendering import CHART, VALUES, objects, own, profile, render, scalars
from tests.chart.test_unusual_values import ARRIVES
from tests.chart.together import Group, assigned, grouped, halves, leaves, merged, renderings_by_feature

BUNDLED = "\n# The bundled PostgreSQL "


LEAVES = dict(leaves({name: value for name, value in VALUES.items() if name not in dependencies()}))
ARRIVING = {path for path in LEAVES if any(f"{value}.".startswith(f"{path}.") for value, _ in ARRIVES)}


def _set(path: str, value: Any) -> tuple[str, ...]:
    # A backslash escapes the dots in names of annotations.
    group, mark, annotation = path.partition("annotations.")
    escaped = group + mark + annotation.replace(".", "\\.") if mark else path
    return ("--set-json", f"{escaped}={json.dumps(value)}")


def _render(*arguments: str) -> str:
    passwords = (
        '  "database-password":',
        '  "database-app-password":',
        '  "redis-password":',
        '  "secret-key":',
        "    checksum/database-",
        "    checksum/redis-password",
        "    checksum/secret-key",
    )  # differs in each rendering
    return "\n".join(line for line in own(*arguments).splitlines() if not line.startswith(passwords))


def test_table_covers_every_value() -> None:
    assert set(CHANGES) | ONLY_REFUSES | ARRIVING | ELSEWHERE == set(LEAVES)
    assert not set(CHANGES) & (ARRIVING | ELSEWHERE)


ROLE = json.dumps("friend")
"""What PEERS select by."""
AS_GIVEN = [
    path
    for path, (value, _) in CHANGES.items()
    if not is_text(path) and path not in NOT_AS_GIVEN
    # A boolean or an empty list arrives in many places.
    if ROLE in json.dumps(value) or (isinstance(value, str | int) and not isinstance(value, bool))
]


def _scalars(*arguments: str) -> set[str]:
    return {str(value) for found in objects(own(*arguments)) for _, value in scalars(found)}


def test_values_arrive_as_given() -> None:
    """In one rendering: each is different, and has all that it needs."""
    context = functools.reduce(merged, (CHANGES[path][1] for path in AS_GIVEN))
    base = assigned(context)
    given: list[str] = []
    words: dict[str, str] = {}
    for path in AS_GIVEN:
        text = json.dumps(CHANGES[path][0]).replace(ROLE, json.dumps(path))
        given += _set(path, json.loads(text))
        words[path] = path if path in text else str(CHANGES[path][0])
    assert len({*words.values()}) == len(words)
    before, after = _scalars(*base), _scalars(*base, *given)
    assert [path for path, word in words.items() if word in before or word not in after] == []


# Each changes names that others are found by, or hides what others change.
ALONE = (
    "externalRedis.sentinel.tls.enabled",
    "fullnameOverride",
    "nameOverride",
    "networkPolicy.enabled",
)
SWITCHED = [path for path in sorted({*CHANGES} - {*AS_GIVEN, *ALONE}) if not is_text(path)]


@pytest.mark.parametrize(
    "group",
    grouped(((path, CHANGES[path][1]) for path in SWITCHED), switched=True),
    ids=lambda group: group.paths[0],
)
def test_every_value_changes_the_manifests(group: Group) -> None:
    """Each is set in its own half of a few renderings; something is in exactly those, or exactly in the others."""
    count, own_halves = halves(len(group.paths))
    half_of = dict(zip(group.paths, own_halves, strict=True))
    found = renderings_by_feature(
        (*assigned(group.context), *_set_in(number, half_of)) for number in range(count)
    )
    everywhere = frozenset(range(count))
    without = [path for path, half in half_of.items() if found.isdisjoint({half, everywhere - half})]
    assert without == [], "these change nothing by themselves"


def _set_in(number: int, half_of: dict[str, frozenset[int]]) -> Iterator[str]:
    for path, half in half_of.items():
        if number in half:
            yield from _set(path, CHANGES[path][0])


@pytest.mark.parametrize("path", ALONE)
def test_value_changes_the_manifests_alone(path: str) -> None:
    value, context = CHANGES[path]
    base = assigned(context)
    assert _render(*base, *_set(path, value)) != _render(*base)


def _step(values: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the group of a leaf, creating it if needed. Names of annotations contain dots."""
    for name in _names(path)[:-1]:
        values = values.setdefault(name, {})
    return values


def _names(path: str) -> list[str]:
    group, mark, annotation = path.partition("annotations.")
    return [*group.rstrip(".").split("."), "annotations", annotation] if mark else path.split(".")


# The service itself validates these settings: it refuses to start with a wrong or unknown one, and names it.
TYPED = sorted(path for path in LEAVES if not path.startswith("config."))
GROUPS = sorted(
    {
        path.rpartition(".")[0]
        for path in LEAVES
        if not any(free in path for free in ("annotations.", "labels.", "config."))
    }
)


@functools.cache
def _objections() -> str:
    """Return Helm's errors if every value has a wrong type and every group an unknown member."""
    wrong: dict[str, Any] = {}
    for path in TYPED:
        # Annotations and affinities are free-form, but never a boolean.
        _step(wrong, path)[_names(path)[-1]] = 5 if isinstance(LEAVES[path], bool) else True
    for group in GROUPS:
        _step(wrong, f"{group}.unknownThing".lstrip("."))["unknownThing"] = "x"
    done = render("--values", "-", text=json.dumps(wrong))
    assert done.returncode != 0
    assert "schema" in done.stderr, done.stderr
    return done.stderr


def test_values_of_the_wrong_type_are_refused() -> None:
    told = _objections()
    pointers = {path: "/".join(name.replace("/", "~1") for name in _names(path)) for path in TYPED}
    assert [path for path, pointer in pointers.items() if f"- at '/{pointer}': " not in told] == []


def test_unknown_values_are_refused() -> None:
    told = _objections()
    pointers = {group: "".join(f"/{name}" for name in group.split(".") if name) for group in GROUPS}
    refusal = "- at '{}': additional properties 'unknownThing' not allowed"
    assert [group for group, pointer in pointers.items() if refusal.format(pointer) not in told] == []


NULLS = ["podLabels", "podAnnotations", "nodeSelector", "tolerations", "ingress.hosts"]


@pytest.mark.parametrize("path", NULLS)
def test_empty_group_may_be_null(path: str) -> None:
    assert _render("--set", f"{path}=null") == _render()


@pytest.mark.parametrize("path", ["ingress.enabled", "httpRoute.enabled"])
def test_unused_values_may_be_null(path: str) -> None:
    given = (
        "--set",
        "prometheusRule.enabled=true,serviceMonitor.enabled=true",
        *profile("02-external-values.yaml"),
    )
    own(*given, "--set", f"ingress.enabled=false,httpRoute.enabled=false,{path}=null")


def test_values_file_stays_small() -> None:
    """The chart's own values, that is. Below them are those of the bundled charts."""
    own_values, mark, bundled = (CHART / "values.yaml").read_text("utf-8").partition(BUNDLED)
    assert mark
    assert len(own_values.splitlines()) < 600
    assert len(bundled.splitlines()) < 360
