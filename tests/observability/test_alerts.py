"""Alerts fire when they should and only then, and each links to its runbook."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, helm_or_skip, render, run
from tests.observability.cases import EVALUATED
from tests.observability.edges import EDGES, variants
from tests.observability.programs import program
from tests.observability.rules import NAMESPACE, RELEASE, RUNBOOKS, TLS_SECRET, Rule, alerts, spec
from tests.observability.several import EVERY_CASE
from tests.observability.thresholds import THRESHOLDS, threshold

FILES = sorted(path.stem for path in (CHART / "alerts").glob("*.yaml"))
SECTIONS = ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"]


@pytest.fixture(autouse=True)
def _helm() -> None:
    helm_or_skip("helm")


def _dumped(given: Any) -> str:
    """Return YAML by the library in C, which takes a tenth of the time."""
    text: str = yaml.dump(given, Dumper=yaml.CSafeDumper)
    return text


def _rules(folder: Path) -> Path:
    path = folder / "rules.yaml"
    path.write_text(_dumped(spec()), "utf-8")
    return path


def test_prometheus_accepts_the_rules(tmp_path: Path) -> None:
    done = run(program("promtool"), "check", "rules", "--lint=all", "--lint-fatal", str(_rules(tmp_path)))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", FILES)
def test_alert_fires_exactly_in_its_cases(alert: str, tmp_path: Path) -> None:
    assert {case.fires for case in EVERY_CASE[alert]} == {True, False}
    tests = {
        "rule_files": [str(_rules(tmp_path))],
        "evaluation_interval": EVALUATED.get(alert, "1m"),
        "tests": [case.as_promtool(alert) for case in EVERY_CASE[alert]],
    }
    path = tmp_path / "test.yaml"
    path.write_text(_dumped(tests), "utf-8")
    done = run(program("promtool"), "test", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", FILES)
def test_threshold_is_as_documented(alert: str) -> None:
    assert threshold(alerts()[alert]) == THRESHOLDS[alert]


def test_every_threshold_belongs_to_an_alert() -> None:
    assert sorted(THRESHOLDS) == FILES


@pytest.mark.parametrize("alert", EDGES)
def test_cases_cover_both_sides_of_every_threshold(alert: str, tmp_path: Path) -> None:
    """The edges pass with the rule as it is, and fail if any threshold moves by a quarter."""
    rule = alerts()[alert]
    failed = {name: _failed(moved, tmp_path) for name, moved in variants(rule).items()}
    assert _failed(rule, tmp_path) is None
    assert failed
    assert not [name for name, said in failed.items() if said is None]


def _failed(rule: Rule, folder: Path) -> str | None:
    """Return promtool's failures for the edges of an alert with this rule, or None."""
    alert = rule["alert"]
    recorded = [found for group in spec()["groups"] for found in group["rules"] if "record" in found]
    rules, test = folder / "rules.yaml", folder / "test.yaml"
    rules.write_text(_dumped({"groups": [{"name": alert, "rules": [*recorded, rule]}]}), "utf-8")
    cases = {
        "rule_files": [str(rules)],
        "evaluation_interval": EVALUATED.get(alert, "1m"),
        "tests": [case.as_promtool(alert) for case in EDGES[alert]],
    }
    test.write_text(_dumped(cases), "utf-8")
    done = run(program("promtool"), "test", "rules", str(test))
    return None if done.returncode == 0 else done.stdout + done.stderr


def test_file_is_named_after_its_alert() -> None:
    assert sorted(alerts()) == FILES == sorted(EVERY_CASE)


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert sorted(path.stem for path in RUNBOOKS.glob("Slipway*.md")) == FILES


@pytest.mark.parametrize("alert", FILES)
def test_runbook_has_every_section(alert: str) -> None:
    text = (RUNBOOKS / f"{alert}.md").read_text("utf-8")
    assert text.startswith(f"# {alert}\n")
    assert [line for line in text.splitlines() if line.startswith("## ")] == SECTIONS
    severity = alerts()[alert]["labels"]["severity"]
    assert f"| [{alert}]({alert}.md) | {severity} |" in (RUNBOOKS / "README.md").read_text("utf-8")


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("[a-z]*.md")), ids=lambda page: page.stem)
def test_page_of_a_situation_has_every_section_and_is_listed(page: Path) -> None:
    lines = page.read_text("utf-8").splitlines()
    assert [line for line in lines if line.startswith("## ")] == SECTIONS
    assert f"[{page.name}]({page.name})" in (RUNBOOKS / "README.md").read_text("utf-8")


@pytest.mark.parametrize("alert", FILES)
def test_alert_has_release_labels_and_runbook_url(alert: str) -> None:
    rule = alerts("--set", "prometheusRule.runbookUrl=https://wiki.example.com/runbooks/")[alert]
    assert rule["labels"] == {
        "namespace": NAMESPACE,
        "release": RELEASE,
        "severity": rule["labels"]["severity"],
    }
    assert rule["labels"]["severity"] in {"critical", "warning"}
    notes = rule["annotations"]
    assert notes["runbook"] == f"docs/runbooks/{alert}.md"
    assert notes["runbook_url"] == f"https://wiki.example.com/runbooks/{alert}.md"
    assert {notes["summary"][-1], notes["description"][-1]} == {"."}
    assert "runbook_url" not in alerts()[alert]["annotations"]


def test_alerts_select_only_this_release() -> None:
    for name, rule in alerts().items():
        selectors = re.findall(r"\{(.*?)}", re.sub(r"\[.*?]\{\d+}", "", rule["expr"]))
        assert selectors, name
        about = re.compile(
            rf' namespace="{NAMESPACE}", (service|release|deployment|pod|job_name|cronjob)=~?"{RELEASE}'
            rf'| namespace="{NAMESPACE}", horizontalpodautoscaler="{RELEASE}'
            rf'| namespace="{NAMESPACE}", persistentvolumeclaim="data-{RELEASE}-'
            rf'| (exported_)?namespace="{NAMESPACE}", name="{TLS_SECRET}" | (host|sans)=~"[^"]*shop\\\\.example\\\\.com'
        )
        assert all(about.match(selector) for selector in selectors), name


def test_alert_is_changed_by_its_name() -> None:
    given = {
        "SlipwaySlow": {"enabled": False},
        "SlipwayDatabasePoolFull": {"threshold": 0.75, "labels": {"severity": "critical"}},
        "SlipwayApiKeyExpiring": {"threshold": 30},
    }
    changed = alerts(
        "--set-json",
        f"prometheusRule.alerts={json.dumps(given)}",
        "--set-json",
        'prometheusRule.alertLabels={"team": "shop", "severity": "info"}',
    )
    before = alerts()
    assert set(before) - set(changed) == {"SlipwaySlow"}
    full = changed["SlipwayDatabasePoolFull"]
    assert full["expr"] == before["SlipwayDatabasePoolFull"]["expr"].replace("0.9", "0.75")
    about = {"namespace": NAMESPACE, "release": RELEASE, "team": "shop"}
    assert full["labels"] == {**about, "severity": "critical"}
    assert changed["SlipwayDown"]["labels"] == {**about, "severity": "info"}
    assert changed["SlipwayDown"]["expr"] == before["SlipwayDown"]["expr"]
    assert changed["SlipwayApiKeyExpiring"]["expr"].endswith(" < 30 * 86400")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            "SlipwaySlwo.enabled=false",
            "at '/prometheusRule/alerts': additional properties 'SlipwaySlwo' not allowed",
        ),
        ("SlipwayDown.threshold=3", "additional properties 'threshold' not allowed"),
        ("SlipwayDatabasePoolFull.threshold=0", "/threshold': exclusiveMinimum"),
    ],
)
def test_change_that_no_alert_has_is_refused(value: str, said: str) -> None:
    done = render("--set", f"prometheusRule.alerts.{value}")
    assert done.returncode != 0
    assert said in done.stderr


def test_thresholds_of_the_page_are_those_of_the_chart() -> None:
    page = (RUNBOOKS.parent / "observability.md").read_text("utf-8")
    files = {path.stem: path.read_text("utf-8") for path in (CHART / "alerts").glob("*.yaml")}
    found = {
        name: re.search(rf'"slipway.threshold" \(list . "{name}" ([\d.]+)\)', text)
        for name, text in files.items()
    }
    rows = re.findall(r"^\| \[(Slipway\w+)\]\(runbooks/\1.md\) \| ([\d.]+) \|", page, re.MULTILINE)
    assert dict(rows) == {name: number[1] for name, number in found.items() if number}


def test_redis_alerts_require_redis() -> None:
    gone = set(FILES) - set(alerts("--set", "redis.enabled=false"))
    assert gone == {"SlipwayRedisDown", "SlipwayLimiterFallback"}


def test_certificate_alert_requires_a_certificate() -> None:
    assert "SlipwayCertificateExpiring" not in alerts("--set", "ingress.tlsSecret=")
    assert "SlipwayCertificateExpiring" not in alerts("--set", "ingress.enabled=false")


def test_certificate_days_are_configurable() -> None:
    expr = alerts("--set", "prometheusRule.certificateDays=2")["SlipwayCertificateExpiring"]["expr"]
    assert expr.endswith(" < 2 * 86400")


def test_gateway_certificate_is_monitored_by_host() -> None:
    route = "httpRoute.enabled=true,httpRoute.parentRefs[0].name=gateway,httpRoute.hosts[0]=api.example.com"
    expr = alerts("--set", f"ingress.enabled=false,{route}")["SlipwayCertificateExpiring"]["expr"]
    assert "api\\\\.example\\\\.com" in expr
    assert "certmanager" not in expr


def test_issuer_key_alert_follows_the_settings() -> None:
    given = ("--set", "config.security.jwks_max_age=7200")
    assert "<= 5400\n" in alerts(*given)["SlipwayTokenKeysExpiring"]["expr"]


def test_issuer_keys_not_yet_due_do_not_alert() -> None:
    given = ("--set", "config.security.jwks_max_age=7200,config.security.jwks_refresh=6000")
    assert "<= 6000\n" in alerts(*given)["SlipwayTokenKeysExpiring"]["expr"]


def test_fetch_alert_window_covers_the_fetch_interval() -> None:
    given = ("--set", "config.security.jwks_cooldown=900.5")
    assert "[1801s]" in alerts(*given)["SlipwayTokenKeysNotFetched"]["expr"]
    assert "[600s]" in alerts()["SlipwayTokenKeysNotFetched"]["expr"]
