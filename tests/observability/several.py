"""Cases with several pods, exporters, certificates or Jobs, with bursts, or at other times: they tell `sum` from `max`,
`rate` from `irate`, one grouping from another, and the two branches of an alert apart."""

from tests.observability.cases import (
    BY_REDIS,
    CASES,
    EXPIRING,
    FAILED,
    ISSUER,
    KEY_EXPIRY,
    LIMITER,
    NGINX,
    NOT_FETCHED,
    OK,
    SLOWLY,
    TRAEFIK,
    WAITS_GIVEN_UP,
    certificate,
    fetches,
    keys,
    lag,
    of_other_pod,
    pool,
    requests,
    space,
)
from tests.observability.cluster_cases import (
    KILLED,
    PURGE,
    RESTARTS,
    gate,
    job,
    next_time,
    scaled,
    seen_by_new,
)
from tests.observability.rules import HOST, Case

WEEK_AND_TEN_MINUTES = 7 * 86400 + 600
OTHER_POD, OTHER_CONTAINER = ("slipway-7c9f8d6b5-fghij", 'container="sidecar"')
TURNED_AWAY = 'slipway_requests_turned_away_total{pod="a", reason="running"}'
BY_PROCESS = f'{LIMITER}, counted_by="process", decision="allowed"}}'
ONE_VERSION = {'slipway_build_info{pod="a", version="1"}': "1x60"}
BURSTS = " ".join(f"{n // 3 * 180}" for n in range(60))


def both_pods(series: dict[str, str]) -> dict[str, str]:
    return series | {of_other_pod(name): values for name, values in series.items()}


def both_exporters(series: dict[str, str]) -> dict[str, str]:
    return series | seen_by_new(series)


def of_other_issuer(series: dict[str, str]) -> dict[str, str]:
    return {name.replace(ISSUER, "https://login.example.com"): values for name, values in series.items()}


def of_other(series: dict[str, str]) -> dict[str, str]:
    """Return the series of another pod of the Deployment."""
    return {name.replace("slipway-7c9f8d6b5-abcde", OTHER_POD): values for name, values in series.items()}


SEVERAL: dict[str, list[Case]] = {
    "SlipwayApiKeyExpiring": [
        Case("a week from now, in ten minutes", {KEY_EXPIRY: f"{WEEK_AND_TEN_MINUTES}x60"}, "30m", fires=True)
    ],
    "SlipwayCertificateExpiring": [
        Case(
            "a week from now, in ten minutes",
            {f'{NGINX}{{host="{HOST}"}}': f"{WEEK_AND_TEN_MINUTES}x60"},
            "30m",
            fires=True,
            foreign=True,
        ),
        *[
            Case(
                f"of two that differ in {what}",
                certificate(TRAEFIK, f'cn="x", sans="{HOST}"', 80) | certificate(TRAEFIK, other, 1),
                "20m",
                fires=True,
                foreign=True,
            )
            for what, other in (
                ("their common name", f'cn="y", sans="{HOST}"'),
                ("their other names", f'cn="x", sans="{HOST},b.example.com"'),
            )
        ],
    ],
    "SlipwayAutoscalerAtMaximum": [
        Case(f"{name}, as two exporters know", scaled(*old) | seen_by_new(scaled(*new)), "20m", fires=fires)
        for name, old, new, fires in (
            ("one below", ("9x60",), ("9x60",), False),
            ("at the maximum", ("10x60",), ("10x60",), True),
            ("now at the maximum", ("9x60",), ("10x60",), True),
            ("over the previous maximum", ("9x60", 8), ("9x60", 10), False),
        )
    ],
    "SlipwayBackupStorageFilling": [
        Case("a fifth is free, as two pods know", both_pods(space(20)), "20m", fires=False)
    ],
    "SlipwayCronJobLate": [
        Case("as two exporters know", both_exporters(next_time(6)), "45m", fires=True),
        Case(
            "while another is on time",
            next_time(5) | next_time(50, "slipway-backup-create"),
            "45m",
            fires=True,
        ),
    ],
    "SlipwayDatabasePoolFull": [
        Case(
            "nearly all in use, with dips",
            pool(1) | {'slipway_database_connections{pod="a", state="used"}': "8 8 8 8 6 " * 12},
            "16m",
            fires=True,
        )
    ],
    "SlipwayDatabaseWaitsGivenUp": [
        Case("a few in each of two pods", both_pods({WAITS_GIVEN_UP: "0+4x60"}), "12m", fires=True)
    ],
    "SlipwayErrorBudgetBurnsFast": [
        Case(
            "2 % for an hour after five good ones, of few requests to two pods",
            both_pods({OK: "0+5x300 1504.9+4.9x60", FAILED: "0x300 0.1+0.1x60"}),
            "362m",
            fires=True,
        ),
        Case("5 % for six minutes", {OK: "0+95x400", FAILED: "0x360 5+5x40"}, "366m", fires=False),
        Case(
            "a little again, half an hour after the last failures",
            {OK: "0+99x400", FAILED: "0+1x300 300x27 305+5x40"},
            "332m",
            fires=False,
            besides=(SLOWLY,),
        ),
    ],
    "SlipwayEventLoopLag": [
        Case(
            "late in one pod, while another has many more requests",
            lag(("0.1", 98), ("0.25", 98), ("0.5", 100), ("+Inf", 100))
            | {of_other_pod(name): "0+9000x60" for name in lag(("0.1", 0), ("0.25", 0), ("+Inf", 0))},
            "20m",
            fires=True,
        )
    ],
    "SlipwayJobFailed": [
        Case(
            "the day before, and another has run since",
            job(PURGE, "1x60", created=-86400) | job("slipway-purge-29401637", "0x60"),
            "20m",
            fires=False,
        ),
        Case("as two exporters know", both_exporters(job(PURGE, "1x60")), "10m", fires=True),
    ],
    "SlipwayLimiterFallback": [
        Case(
            "some of them in each of two pods",
            both_pods({BY_REDIS: "0+100x60", BY_PROCESS: "0+6x60"}),
            "20m",
            fires=True,
        ),
        Case(
            "some of them in one pod, none in another",
            {BY_REDIS: "0+100x60", BY_PROCESS: "0+8x60", of_other_pod(BY_REDIS): "0+100x60"},
            "20m",
            fires=False,
        ),
        Case("in bursts", {BY_REDIS: "0+600x60", BY_PROCESS: BURSTS}, "20m", fires=True),
    ],
    "SlipwayMigrationPending": [
        Case(
            "one behind the gate, and the image of another cannot be pulled",
            gate("0x60") | of_other(gate("0x60", "ImagePullBackOff")),
            "20m",
            fires=True,
        )
    ],
    "SlipwayOutOfMemory": [
        Case(
            "of another container, which has not restarted",
            {
                RESTARTS: "0x9 1x60",
                KILLED.replace('container="server"', OTHER_CONTAINER) % "OOMKilled": "1x60",
            },
            "15m",
            fires=False,
        ),
        Case(
            "of another pod, long ago",
            {RESTARTS: "0x9 1x60", **of_other({KILLED % "OOMKilled": "1x60"})},
            "15m",
            fires=False,
        ),
        Case(
            "as one of two exporters knows",
            {RESTARTS: "0x9 1x60", KILLED % "OOMKilled": "1x60", **seen_by_new({RESTARTS: "1x60"})},
            "15m",
            fires=True,
        ),
    ],
    EXPIRING: [
        Case(
            "none of one issuer, fresh ones of another",
            fetches("0x60", "0+2x60") | of_other_issuer(keys("0+60x60", "1x60", "0x60")),
            "14m",
            fires=True,
        )
    ],
    NOT_FETCHED: [
        Case(
            f"tried no more, while {where} fails now and then",
            keys("0x60", "0x60", "1x60") | others,
            "30m",
            fires=False,
        )
        for where, others in (
            ("another pod", keys("0x60", "1x60", "0+1x60", "b")),
            ("another issuer", of_other_issuer(keys("0x60", "1x60", "0+1x60"))),
        )
    ],
    "SlipwayRestarting": [
        Case("twice, as two exporters know", both_exporters({RESTARTS: "0x9 1x9 2x60"}), "45m", fires=False)
    ],
    "SlipwayRolloutStuck": [Case("two pods of one version", both_pods(ONE_VERSION), "40m", fires=False)],
    "SlipwaySlow": [
        Case(
            "all in one pod, none in a busier one",
            requests(("1", 0), ("2.5", 100), ("+Inf", 100))
            | {of_other_pod(name): "0+1000x60" for name in requests(("1", 0), ("2.5", 0), ("+Inf", 0))},
            "20m",
            fires=True,
        ),
        Case(
            "half in one pod, none in a much busier one",
            requests(("1", 5), ("2.5", 10), ("+Inf", 10))
            | {of_other_pod(name): "0+9000x60" for name in requests(("1", 0), ("2.5", 0), ("+Inf", 0))},
            "20m",
            fires=False,
        ),
    ],
    "SlipwayRequestsTurnedAway": [
        Case("a few in each of two pods", both_pods({TURNED_AWAY: "0+4x60"}), "12m", fires=False),
        Case(
            "a few for each of two reasons",
            {TURNED_AWAY: "0+4x60", TURNED_AWAY.replace("running", "bodies"): "0+4x60"},
            "12m",
            fires=True,
        ),
        Case("in bursts", {TURNED_AWAY: BURSTS}, "12m", fires=True),
    ],
}
EVERY_CASE = {alert: [*cases, *SEVERAL.get(alert, ())] for alert, cases in CASES.items()}
