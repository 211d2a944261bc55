"""Every figure in a runbook is the one of the alert, a setting, the chart or the code."""

import re

import pytest

from service.cli.errors import Exit
from service.config.settings import Settings
from tests.chart.rendering import CHART, VALUES, helm_or_skip
from tests.observability.figures import of_settings, parse
from tests.observability.rules import RUNBOOKS, Rule, alerts

PAGES = {path.stem: path.read_text("utf-8") for path in sorted(RUNBOOKS.glob("Slipway*.md"))}
STATUSES = {200, 401, 404, 429, 500, 503, 504}
DAY, UNITS = 86400, {"s": 1, "m": 60, "h": 3600, "d": 86400}
ROOT = CHART.parent


def _written(path: str, pattern: str) -> float:
    """Return the number that the pattern finds in a file."""
    (number,) = re.findall(pattern, (ROOT / path).read_text("utf-8"))
    return float(number)


LIVENESS = VALUES["probes"]["liveness"]
BUDGET = 30 * DAY
# What a page says beyond its alert and the settings that it names, and where it comes from.
ELSEWHERE: dict[str, set[float]] = {
    "SlipwayApiKeyExpiring": {
        DAY * _written("service/security/api_keys/expiry.py", r"interval '(\d+) days'")
    },
    "SlipwayCertificateExpiring": {80},  # HTTP, RFC 9110
    "SlipwayDatabaseWaitsGivenUp": {1, Settings.model_fields["database"].default.lock_timeout},  # 1: 100 %
    "SlipwayDown": {Exit.SETTINGS, Exit.UNAVAILABLE},
    "SlipwayErrorBudgetBurnsFast": {BUDGET, BUDGET / 6},  # gone within five days at six times the rate
    "SlipwayErrorBudgetBurnsSlowly": {BUDGET},
    "SlipwayEventLoopLag": {1},  # a process uses one core
    "SlipwayPodUnreachable": {LIVENESS["periodSeconds"] * LIVENESS["failureThreshold"]},
    "SlipwayTokenKeysNotFetched": {
        443,  # HTTPS, RFC 9110
        _written("service/main.py", r"tokens\.renew, (\d+)"),
    },
}

# Pages that say it without a figure.
QUALITATIVE = {
    "SlipwayBackupDrillFailed": "a single failure is enough",
    "SlipwayJobFailed": "a single failure is enough",
}


@pytest.fixture(autouse=True)
def _helm() -> None:
    helm_or_skip("helm")


def _of_rule(rule: Rule) -> set[float]:
    """Return the numbers and windows of an alert's expression, in seconds, and its `for`."""
    expr = rule["expr"]
    numbers = [float(text) for text in re.findall(r"(?<![\w.\"$])\d+(?:\.\d+)?(?![\w.])", expr)]
    windows = re.findall(r"\[(\d+)([smhd])\]", expr) + re.findall(r"^(\d+)([smhd])$", rule["for"])
    windows += re.findall(r":rate(\d+)([smhd])\{", expr)  # of a recorded series
    products = re.findall(r"(\d+(?:\.\d+)?) \* (\d+)", expr)
    return {
        *numbers,
        *(int(amount) * UNITS[unit] for amount, unit in windows),
        *(float(amount) * int(seconds) for amount, seconds in products),
    }


def _default(name: str) -> float:
    group, _, key = name.removeprefix("config.").partition(".")
    if name.startswith("config."):
        return float(getattr(Settings.model_fields[group].default, key))
    return float(VALUES[group][key])


@pytest.mark.parametrize("alert", PAGES)
def test_figures_of_a_runbook_are_those_in_force(alert: str) -> None:
    page = PAGES[alert]
    allowed = STATUSES | _of_rule(alerts()[alert]) | ELSEWHERE.get(alert, set())
    allowed |= {figure.value for _, figure in of_settings(page)}
    assert [figure.text for figure in parse(page) if figure.value not in allowed] == []


@pytest.mark.parametrize("alert", PAGES)
def test_settings_of_a_runbook_have_these_defaults(alert: str) -> None:
    for name, figure in of_settings(PAGES[alert]):
        assert _default(name) == figure.value, name


def test_every_runbook_says_for_how_long_or_how_much() -> None:
    """The threshold or the duration of an alert is on its page; the first paragraph says when it fires."""
    silent = {
        alert
        for alert, page in PAGES.items()
        if not _of_rule(alerts()[alert]) & {f.value for f in parse(page.split("## Impact")[0])}
    }
    assert silent == set(QUALITATIVE)


def test_setting_with_another_default_would_be_found() -> None:
    assert of_settings("the pool (`config.database.pool_max`, 9)")[0][1].value != _default(
        "config.database.pool_max"
    )
    assert parse("more than 85 % for ten minutes, at `9000`, for 0.25 s") == [
        ("85 %", 0.85),
        ("ten minutes", 600),
        ("0.25 s", 0.25),
    ]
