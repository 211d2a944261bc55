"""The thresholds of all alerts, repeated here so that nobody changes one by accident.

`promtool` proves that the expressions mean it (edges.py, cases.py); this holds on machines without promtool too.
"""

import re

from tests.observability.rules import LABELS, Rule

# Operators with their numbers, windows, and label matchers, in the order of the expression.
_PODS = r'namespace="shop", pod=~"slipway-[a-z0-9]+-[a-z0-9]{5}"'
_JOBS = (
    'namespace="shop", '
    'job_name=~"slipway-(migrate|purge|restore)-[0-9a-f]+|slipway-backup-(create|prune|drill)-[0-9a-f]+"'
)
_CRONJOBS = 'namespace="shop", cronjob=~"slipway-(purge)|slipway-backup-(create|prune|drill)"'
_EXPORTER = '{namespace="shop", service="slipway-postgresql-metrics"}'
_CLAIM = '{namespace="shop", persistentvolumeclaim="data-slipway-postgresql-0"}'
_AUTOSCALER = '{namespace="shop", horizontalpodautoscaler="slipway"}'
THRESHOLDS = {
    "SlipwayApiKeyExpiring": "> 0 < 7 * 86400 for 15m",
    "SlipwayAutoscalerAtMaximum": f"{_AUTOSCALER} {_AUTOSCALER} for 15m",
    "SlipwayBackupDrillFailed": "== 0 for 5m",
    "SlipwayBackupStorageFilling": "1 > 0.85 for 15m",
    "SlipwayBackupTooOld": "> 26 * 3600 for 15m",
    "SlipwayCertificateExpiring": (
        '{namespace="shop", name="shop-tls"} > 0 {exported_namespace="shop", name="shop-tls"} > 0'
        r' {host=~"\\*\\.example\\.com|shop\\.example\\.com"}'
        r' {sans=~"(.*,)?(\\*\\.example\\.com|shop\\.example\\.com)(,.*)?"} < 7 * 86400 for 15m'
    ),
    "SlipwayCronJobLate": f"{{{_CRONJOBS}}} > 30 * 60 for 5m",
    "SlipwayDatabaseDown": '{dependency="database"} == 0 > 0.5 {dependency="database"} for 1m',
    "SlipwayDatabasePoolFull": '{state="used"} 5m > 0.9 for 10m',
    "SlipwayDatabaseWaitsGivenUp": "5m > 0.1 for 5m",
    "SlipwayDown": "== 1 for 2m",
    "SlipwayErrorBudgetBurnsFast": (
        "1h 1h > 14.4 * (1 - 99.9 / 100 > 14.4 * (1 - 99.9 / 100"
        ' {status_code=~"5.."} 1h >= 10'
        " 6h 6h > 6 * (1 - 99.9 / 100 30m 30m > 6 * (1 - 99.9 / 100"
        ' {status_code=~"5.."} 6h >= 10 for 2m'
    ),
    "SlipwayErrorBudgetBurnsSlowly": (
        "1d 1d > 3 * (1 - 99.9 / 100 2h 2h > 3 * (1 - 99.9 / 100"
        ' {status_code=~"5.."} 1d >= 10'
        " 3d 3d > (1 - 99.9 / 100 6h 6h > (1 - 99.9 / 100"
        ' {status_code=~"5.."} 3d >= 10 for 1h'
    ),
    "SlipwayEventLoopLag": "0.99 5m > 0.25 for 10m",
    "SlipwayFeatureFlagsStale": '> 60 {dependency="database"} == 1 for 5m',
    "SlipwayJobFailed": f'{{{_JOBS}, condition="true"}} == 1 {{{_JOBS}}} < 86400 for 5m',
    "SlipwayLimiterFallback": '{counted_by="process", decision="allowed"} 5m {decision="allowed"} 5m > 0.05 for 10m',
    "SlipwayMigrationPending": (
        f'== 1 {{{_PODS}, container="gate"}} == 0'
        f' {{{_PODS}, container="gate", reason!="CrashLoopBackOff"}} == 1 for 15m'
    ),
    "SlipwayOutOfMemory": f'{{{_PODS}}} 30m > 0 {{{_PODS}, reason="OOMKilled"}} == 1 for 1m',
    "SlipwayPodUnreachable": "== 0 for 10m",
    "SlipwayRedisDown": '{dependency="redis"} == 0 for 5m',
    "SlipwayRequestsTurnedAway": "5m > 0.1 for 5m",
    "SlipwayRestarting": f"{{{_PODS}}} 1h > 2 for 1m",
    "SlipwayRolloutStuck": (
        '> 1 {namespace="shop", deployment="slipway", condition="Progressing", status="false"} == 1 for 30m'
    ),
    "SlipwayServerConnectionsFull": f"{_EXPORTER} {_EXPORTER} > 0.85 for 10m",
    "SlipwaySlow": '0.99 {path!~".*/export"} 5m > 1 for 10m',
    "SlipwayTokenKeysExpiring": '{dependency!~"database|redis"} == 0 <= 64800 for 10m',
    "SlipwayTokenKeysNotFetched": '{dependency!~"database|redis"} == 0 {result="failed"} 600s > 0 for 15m',
    "SlipwayVolumeFilling": f"1 {_CLAIM} {_CLAIM} > 0.85 for 15m",
}

_PART = re.compile(r"\{.*?\}(?=[\s\[)]|$)|(?:[<>=!]+|[-+*/])?[ (]*(?<![\w.])\d[\d.]*[smhd]?(?!\w)")
_OF_RELEASE = (LABELS, 'namespace="shop", release="slipway"')


def threshold(rule: Rule) -> str:
    """Return the comparisons of a rule, without functions and names of metrics."""
    expr = re.sub(r'label_replace\(|,\s*"\w+",\s*"\$1",\s*"\w+",\s*"\(\.\+\)"\s*\)', " ", rule["expr"])
    parts = [_part(found) for found in _PART.findall(expr)]
    return " ".join([*filter(None, parts), "for", rule["for"]])


def _part(found: str) -> str:
    if not found.startswith("{"):
        return " ".join(found.split())
    matchers = found.strip("{} ")
    for common in _OF_RELEASE:
        matchers = matchers.removeprefix(common).removeprefix(", ")
    return f"{{{matchers}}}" if matchers else ""
