"""What is just beyond and just within each threshold of an alert; `variants` moves the thresholds themselves."""

import re

from tests.observability.cases import (
    BY_PROCESS,
    BY_REDIS,
    CERT_MANAGER,
    DAY,
    FAILED,
    ISSUED,
    NGINX,
    OK,
    SLOWLY,
    certificate,
    dependency,
    lag,
    requests,
)
from tests.observability.rules import HOST, Case, Rule

MOVE = 1.25  # an edge lies closer to its threshold than this factor
HOURS = 3600
EXPIRY = 'slipway_api_key_expiry_timestamp_seconds{pod="a"}'
FAST = "SlipwayErrorBudgetBurnsFast"
SOME = 10_000  # requests a minute
QUIET, BUSY = (300, 0, SOME), (2 * DAY, 0, 10 * SOME)  # before, without a failure


def rate(name: str, labels: str, per_second: float) -> dict[str, str]:
    return {f"{name}{{{labels}}}": f"0+{per_second * 60:g}x60"}


def used(connections: int) -> dict[str, str]:
    """Of a pool of 100."""
    return {
        'slipway_database_connections{pod="a", pool="fast", state="used"}': f"{connections}x60",
        'slipway_database_connections_limit{pod="a", pool="fast"}': "100x60",
    }


def databases(away: int) -> dict[str, str]:
    """How ten pods see the database."""
    found: dict[str, str] = {}
    for pod in range(10):
        found |= dependency("database", "0x60" if pod < away else "1x60", f"p{pod}")
    return found


def steps(*parts: tuple[int, float, int]) -> dict[str, str]:
    """Requests of which a share fails, in turn: minutes, percent, requests a minute."""
    values: dict[str, list[str]] = {OK: [], FAILED: []}
    reached = dict.fromkeys(values, 0.0)
    for minutes, percent, per_minute in parts:
        bad = percent / 100 * per_minute
        for name, step in ((OK, per_minute - bad), (FAILED, bad)):
            values[name].append(f"{reached[name]:.6g}+{step:.6g}x{minutes - 1}")
            reached[name] += step * minutes
    return {name: " ".join(written) for name, written in values.items()}


def failures(count: int, *, after: int, per_minute: int) -> dict[str, str]:
    """So many failures, one a minute, among few requests."""
    counted = " ".join(map(str, range(1, count + 1)))
    return {OK: f"0+{per_minute}x{after + 60}", FAILED: f"0x{after} {counted} {count}x60"}


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
        rate("slipway_database_acquire_timeouts_total", 'pod="a", pool="fast"', 0.11),
        rate("slipway_database_acquire_timeouts_total", 'pod="a", pool="fast"', 0.09),
        "20m",
    ),
    "SlipwayDatabasePoolFull": both("90 %", used(91), used(89), "20m"),
    "SlipwayDatabaseDown": [
        Case("5 of 10 pods", databases(5), "10m", fires=True),
        Case("4 of 10 pods", databases(4), "10m", fires=False),
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
    "SlipwayApiKeyExpiring": both(
        "a week before the end",
        {EXPIRY: f"{7 * DAY * 60 - HOURS}x60"},
        {EXPIRY: f"{7 * DAY * 60 + HOURS}x60"},
        "20m",
    ),
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
    # Each half of a condition alone: the other half, and the other windows, would say otherwise.
    FAST: [
        *both("1.44 % for an hour", steps(QUIET, (62, 1.5, SOME)), steps(QUIET, (62, 1.35, SOME)), "360m"),
        Case("less in the last minutes", steps(QUIET, (50, 2, SOME), (14, 1.35, SOME)), "361m", fires=False),
        Case("less in the hour", steps(QUIET, (60, 1, SOME), (14, 3, SOME)), "371m", fires=False),
        *both("0.6 % for six hours", steps((400, 0.65, SOME)), steps((400, 0.55, SOME)), "365m"),
        Case("less in the last half hour", steps((330, 0.8, SOME), (42, 0.55, SOME)), "370m", fires=False),
        Case("less in the six hours", steps((330, 0.48, SOME), (40, 1.3, SOME)), "366m", fires=False),
        *both(
            "ten failures in an hour",
            failures(11, after=300, per_minute=10),
            failures(9, after=300, per_minute=10),
            "314m",
        ),
        *both(
            "ten failures in six hours",
            failures(11, after=320, per_minute=1),
            failures(9, after=320, per_minute=1),
            "340m",
        ),
    ],
    SLOWLY: [
        *both(
            "0.3 % for a day",
            steps(BUSY, (DAY, 0.32, SOME)),
            steps(BUSY, (DAY, 0.28, SOME)),
            f"{3 * DAY - 10}m",
        ),
        Case(
            "less in the last hours",
            steps(BUSY, (20 * 60, 0.4, SOME), (240, 0.28, SOME)),
            f"{3 * DAY - 10}m",
            fires=False,
        ),
        Case(
            "less in the day",
            steps(BUSY, (20 * 60, 0.24, SOME), (240, 0.5, SOME)),
            f"{3 * DAY - 10}m",
            fires=False,
        ),
        *both(
            "0.1 % for three days",
            steps((3 * DAY, 0.105, SOME)),
            steps((3 * DAY, 0.095, SOME)),
            f"{3 * DAY - 10}m",
        ),
    ],
}

_COMPARED = re.compile(r"([<>]=? *)(\d+(?:\.\d+)?)(?= |$|\n)")
_QUANTILE = re.compile(r"(quantile\(\s*)(0\.\d+)")


def variants(rule: Rule) -> dict[str, Rule]:
    """The rule with one number moved, for each number that something is compared with and each direction."""
    moved = {}
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
