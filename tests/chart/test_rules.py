"""Every own object of every profile passes the default checks of common linters."""

import functools
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.chart.rendering import PROFILES, objects, own, profile, whole
from tests.chart.reviewing import unexplained
from tests.chart.rules import RULES
from tests.chart.rules.manifests import Manifests
from tests.chart.rules.skips import BUNDLED, SKIPS

BAD = Path(__file__).parent / "rules" / "bad.yaml"


@functools.cache
def _manifests(values: str) -> Manifests:
    return Manifests(objects(own(*profile(values))))


def _findings(rule: str) -> list[str]:
    return [
        f"{values or 'defaults'}: {found}"
        for values in ["", *PROFILES]
        for found in RULES[rule](_manifests(values))
    ]


def test_manifests_follow_every_rule() -> None:
    for rule in sorted(RULES):
        patterns = [pattern for pattern, _ in SKIPS.get(rule, [])]
        found = [text for text in _findings(rule) if not any(fnmatch(text, pattern) for pattern in patterns)]
        assert found == [], rule


@pytest.mark.parametrize("rule", sorted(SKIPS))
def test_every_skip_has_a_reason_and_is_needed(rule: str) -> None:
    found = _findings(rule)
    for pattern, reason in SKIPS[rule]:
        assert any(fnmatch(text, pattern) for text in found), f"nothing left to skip: {pattern}"
        assert reason.endswith(".")


@functools.cache
def _umbrella(values: str) -> tuple[Manifests, frozenset[str]]:
    """Return all objects of a profile, and which of them are the chart's own."""
    mine = {f"{found['kind']}/{found['metadata']['name']}" for found in objects(own(*profile(values)))}
    return Manifests(objects(whole(*profile(values)))), frozenset(mine)


def _bundled(rule: str) -> list[str]:
    """Return the findings of a rule in objects of other charts."""
    return [
        f"{values or 'defaults'}: {found}"
        for values in ["", *PROFILES]
        for found in RULES[rule](_umbrella(values)[0])
        if "/".join(found.split("/")[:2]) not in _umbrella(values)[1]
    ]


def test_findings_in_bundled_programs_have_a_reason() -> None:
    found = {rule: unexplained(_bundled(rule), BUNDLED.get(rule, [])) for rule in sorted(RULES)}
    assert {rule: findings for rule, findings in found.items() if findings} == {}


def test_every_rule_finds_its_violation() -> None:
    bad = Manifests(objects(BAD.read_text("utf-8")))
    assert [rule for rule, check in RULES.items() if not list(check(bad))] == []


@pytest.mark.parametrize("values", ["", *PROFILES])
def test_pods_of_bundled_servers_are_restricted_too(values: str) -> None:
    manifests = Manifests(objects(whole(*profile(values))))
    restricted = [rule for name, rule in RULES.items() if name.startswith("restricted/")]
    assert [found for rule in restricted for found in rule(manifests)] == []
