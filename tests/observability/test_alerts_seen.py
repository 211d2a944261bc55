"""The alerts, as evaluated by a real Prometheus during the run."""

import re

import pytest

from tests.observability.evidence import FIRING, Evidence
from tests.observability.programs import program
from tests.observability.rules import alerts

pytestmark = [pytest.mark.observability, pytest.mark.timeout(400)]

# The alerts that the problems of the run trigger. They stay pending, but for one: no problem lasts as long as `for`.
PROVOKED = {
    "SlipwayApiKeyExpiring",
    "SlipwayBackupDrillFailed",
    "SlipwayCertificateExpiring",
    "SlipwayDatabaseWaitsGivenUp",
    "SlipwayDown",
    "SlipwayErrorBudgetBurnsFast",
    "SlipwayErrorBudgetBurnsSlowly",
    "SlipwayLimiterFallback",
    "SlipwayMigrationPending",
    "SlipwayPodUnreachable",
    "SlipwayRedisDown",
    "SlipwayRequestsTurnedAway",
    "SlipwayTokenKeysExpiring",
    "SlipwayTokenKeysNotFetched",
}
COMPARISON = re.compile(r"\s(==|!=|<=?|>=?)\s")


def test_every_rule_is_evaluated_without_an_error(seen: Evidence) -> None:
    found = seen.prometheus.rules()
    assert {rule["name"] for rule in found} >= set(alerts())
    assert [rule["lastError"] for rule in found if rule.get("lastError")] == []
    assert {rule["health"] for rule in found} == {"ok"}


@pytest.mark.parametrize("alert", sorted(PROVOKED))
def test_alert_fires_on_a_real_failure(alert: str, seen: Evidence) -> None:
    if alert == "SlipwayCertificateExpiring":
        program("traefik")  # whose metric it is
    assert seen.prometheus.over_time(f'ALERTS{{alertname="{alert}"}}', seen.began, seen.ended)


def test_failed_drill_of_a_damaged_backup_fires(seen: Evidence) -> None:
    firing = f'ALERTS{{alertname="{FIRING}", alertstate="firing"}}'
    assert seen.prometheus.over_time(firing, seen.began, seen.ended)


@pytest.mark.parametrize("alert", sorted(set(alerts()) - PROVOKED))
def test_alert_query_without_threshold_returns_data(alert: str, seen: Evidence) -> None:
    """With `bool`, a comparison returns 0 or 1 and drops no series."""
    expr = COMPARISON.sub(r" \1 bool ", alerts()[alert]["expr"])
    assert " bool " in expr
    assert seen.prometheus.over_time(expr, seen.began, seen.ended)


def test_annotations_of_pending_alerts_are_rendered(seen: Evidence) -> None:
    texts = [
        text
        for alert in seen.prometheus.get("/api/v1/alerts")["alerts"]
        for text in alert["annotations"].values()
    ]
    assert texts
    assert [text for text in texts if "{{" in text or "<" in text] == []
