"""Values just over and just under each threshold of an alert. `variants` moves the thresholds.

The error budget alerts are not here: their windows mask each other, and runs over days take minutes.
"""

import re

from tests.observability.cases import (
    BACKUP,
    BY_PROCESS,
    BY_REDIS,
    CERT_MANAGER,
    DAY,
    ISSUED,
    NGINX,
    certificate,
    dependency,
    flags_read,
    lag,
    requests,
    space,
)
from tests.observability.cluster_cases import next_time, open_connections, volume
from tests.observability.rules import HOST, Case, Rule

MOVE = 1.25  # edges are closer to the threshold than this factor
HOURS = 3600
EXPIRY = 'slipway_api_key_expiry_timestamp_seconds{pod="a"}'


def rate(name: str, labels: str, per_second: float) -> dict[str, str]:
    return {f"{name}{{{labels}}}": f"0+{per_second * 60:g}x60"}


def used(connections: int) -> dict[str, str]:
    """Of a pool of 100."""
    return {
        'slipway_database_connections{pod="a", state="used"}': f"{connections}x60",
        'slipway_database_connections_limit{pod="a"}': "100x60",
    }


def databases(away: int) -> dict[str, str]:
    """Return the view of ten pods of the database."""
    found: dict[str, str] = {}
    for pod in range(10):
        found |= dependency("database", "0x60" if pod < away else "1x60", f"p{pod}")
    return found


def both(name: str, over: dict[str, str], under: dict[str, str], at: str) -> list[Case]:
    return [
        Case(f"just over {name}", over, at, fires=True),
        Case(f"just under {name}", under, at, fires=False),
    ]


EDGES: dict[str, list[Case]] = {
    "SlipwayRequestsTurnedAway": both(
        "0.1 a second",
        rate("slipway_requests_turned_away_total", 'pod="a"', 0.11),
        rate("slipway_requests_turned_away_total", 'pod="a"', 0.09),
        "20m",
    ),
    "SlipwayDatabaseWaitsGivenUp": both(
        "0.1 a second",
        rate("slipway_database_acquire_timeouts_total", 'pod="a"', 0.11),
        rate("slipway_database_acquire_timeouts_total", 'pod="a"', 0.09),
        "20m",
    ),
    "SlipwayDatabasePoolFull": both("90 %", used(91), used(89), "20m"),
    "SlipwayDatabaseDown": [
        Case("6 of 10 pods", databases(6), "10m", fires=True),
        Case("5 of 10 pods", databases(5), "10m", fires=False),
    ],
    "SlipwaySlow": both(
        "1 s for one in a hundred",
        requests(("0.5", 0), ("1", 989), ("1.01", 1000), ("+Inf", 1000)),
        requests(("0.5", 0), ("1", 991), ("2.5", 1000), ("+Inf", 1000)),
        "20m",
    ),
    "SlipwayEventLoopLag": both(
        "250 ms for one in a hundred",
        lag(("0.1", 0), ("0.25", 989), ("0.26", 1000), ("+Inf", 1000)),
        lag(("0.1", 0), ("0.25", 991), ("0.5", 1000), ("+Inf", 1000)),
        "20m",
    ),
    "SlipwayLimiterFallback": both(
        "5 % of what is granted",
        {BY_REDIS: "0+945x60", f'{BY_PROCESS}, decision="allowed"}}': "0+55x60"},
        {BY_REDIS: "0+955x60", f'{BY_PROCESS}, decision="allowed"}}': "0+45x60"},
        "20m",
    ),
    "SlipwayFeatureFlagsStale": both("a minute", flags_read("-61+60x60"), flags_read("-59+60x60"), "20m"),
    "SlipwayApiKeyExpiring": both(
        "a week before the end",
        {EXPIRY: f"{7 * DAY * 60 - HOURS}x60"},
        {EXPIRY: f"{7 * DAY * 60 + HOURS}x60"},
        "20m",
    ),
    "SlipwayBackupTooOld": both(  # a test begins in 1970
        "26 hours", {BACKUP: f"-{26 * HOURS}x60"}, {BACKUP: f"-{25 * HOURS}x60"}, "20m"
    ),
    "SlipwayBackupStorageFilling": both("85 %", space(14), space(16), "20m"),
    "SlipwayCertificateExpiring": [
        Case(f"{hours} h before, says {who}", {name: f"{hours * HOURS}x60"}, "20m", fires=fires, foreign=True)
        for who, name in (
            ("cert-manager", next(iter(certificate(*ISSUED, 1)))),
            ("ingress-nginx", f'{NGINX}{{host="{HOST}"}}'),
        )
        for hours, fires in ((7 * 24 - 1, True), (7 * 24 + 1, False))
    ]
    + [
        Case(
            "of a name like it",
            certificate(CERT_MANAGER, 'name="other"', 1),
            "20m",
            fires=False,
            foreign=True,
        )
    ],
}

EDGES["SlipwayCronJobLate"] = both("half an hour", next_time(8), next_time(12), "45m")  # and `for`
EDGES["SlipwayServerConnectionsFull"] = [
    Case("86 of 100", open_connections(86), "20m", fires=True, foreign=True),
    Case("84 of 100", open_connections(84), "20m", fires=False, foreign=True),
]
EDGES["SlipwayVolumeFilling"] = both("85 %", volume(140), volume(160), "20m")
_COMPARED = re.compile(r"([<>]=? *)(\d+(?:\.\d+)?)(?= |$|\n)")
_QUANTILE = re.compile(r"(quantile\(\s*)(0\.\d+)")


def variants(rule: Rule) -> dict[str, Rule]:
    """Yield the rule with one threshold moved, for each threshold and direction."""
    moved: dict[str, Rule] = {}
    for found in _COMPARED.finditer(rule["expr"]):
        if float(found[2]) > 0:
            for factor in (MOVE, 1 / MOVE):
                moved |= _moved(rule, found, float(found[2]) * factor)
    for found in _QUANTILE.finditer(rule["expr"]):
        for value in (0.985, 0.995):
            moved |= _moved(rule, found, value)
    return moved


def _moved(rule: Rule, found: re.Match[str], value: float) -> dict[str, Rule]:
    expr = f"{rule['expr'][: found.start(2)]}{value:g}{rule['expr'][found.end(2) :]}"
    return {f"{found[0].strip()} at {found.start()} as {value:g}": {**rule, "expr": expr}}
