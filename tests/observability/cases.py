"""For each alert, what makes it fire, and what comes close and does not."""

from tests.observability.cluster_cases import AT_THE_GATE, CLUSTER_CASES
from tests.observability.rules import HOST, NAMESPACE, TLS_SECRET, Case

DAY = 24 * 60
SLOWLY = "SlipwayErrorBudgetBurnsSlowly"
# Interval of rule evaluation, where every minute would take too long.
EVALUATED = {SLOWLY: "10m", "SlipwayErrorBudgetBurnsFast": "2m"}
OK, FAILED = (
    'http_requests_total{pod="a", status_code="200"}',
    'http_requests_total{pod="a", status_code="503"}',
)
LIMITER = 'slipway_limiter_decisions_total{pod="a", policy="requests"'
BY_REDIS, BY_PROCESS = (
    f'{LIMITER}, counted_by="redis", decision="allowed"}}',
    f'{LIMITER}, counted_by="process"',
)
GIVEN_UP = 'deployment="slipway", condition="Progressing", status="false"'
OTHERS = 'deployment="slipway-grafana", condition="Progressing", status="false"'
BACKUP, DRILL = (
    'slipway_backup_last_success_timestamp_seconds{pod="a"}',
    'slipway_backup_drill_success{pod="a"}',
)
WAITS_GIVEN_UP = 'slipway_database_acquire_timeouts_total{pod="a"}'
KEY_EXPIRY = 'slipway_api_key_expiry_timestamp_seconds{pod="a"}'
ISSUER = "https://id.example.com"
FAILING = "0+2x60"
NOT_FETCHED = "SlipwayTokenKeysNotFetched"
CERT_MANAGER, NGINX, TRAEFIK = (
    "certmanager_certificate_expiration_timestamp_seconds",
    "nginx_ingress_controller_ssl_expire_time_seconds",
    "traefik_tls_certs_not_after",
)


def histogram(name: str, labels: str, *buckets: tuple[str, int]) -> dict[str, str]:
    """Return a histogram whose buckets (upper bound, count) grow by these counts each minute."""
    return {f'{name}_bucket{{{labels}, le="{le}"}}': f"0+{count}x60" for le, count in buckets}


def requests(*buckets: tuple[str, int], path: str = "/api/v1/articles") -> dict[str, str]:
    return histogram("http_request_duration_seconds", f'pod="a", path="{path}"', *buckets)


def dependency(name: str, values: str, pod: str = "a") -> dict[str, str]:
    return {f'slipway_dependency_up{{pod="{pod}", dependency="{name}"}}': values}


def flags_read(values: str) -> dict[str, str]:
    """Return the time of a pod's last refresh of the flags; it reaches the database."""
    return {
        'slipway_feature_refresh_timestamp_seconds{pod="a"}': values,
        **dependency("database", "1x60"),
    }


def pool(used: int) -> dict[str, str]:
    return {
        'slipway_database_connections{pod="a", state="used"}': f"{used}x60",
        'slipway_database_connections{pod="a", state="idle"}': f"{8 - used}x60",
        'slipway_database_connections_limit{pod="a"}': "8x60",
    }


def lag(*buckets: tuple[str, int]) -> dict[str, str]:
    return histogram("slipway_event_loop_lag_seconds", 'pod="a"', *buckets)


def of_other_pod(series: str) -> str:
    """Return the series of a pod that read the database at another time."""
    return series.replace('pod="a"', 'pod="b"')


def space(free: int) -> dict[str, str]:
    """Return the metrics of a storage for backups that has 100 bytes."""
    return {
        'slipway_backup_storage_free_bytes{pod="a"}': f"{free}x60",
        'slipway_backup_storage_size_bytes{pod="a"}': "100x60",
    }


def fetches(up: str, failed: str, pod: str = "a") -> dict[str, str]:
    """Return a pod's metrics on fetching an issuer's keys: result of the last attempt, and number of failures."""
    name = f'slipway_token_keys_fetches_total{{pod="{pod}", issuer="{ISSUER}", result="failed"}}'
    return {name: failed, **dependency(ISSUER, up, pod)}


def keys(fetched: str, up: str, failed: str = FAILING, pod: str = "a") -> dict[str, str]:
    """Return the same, with the time of the last success."""
    name = f'slipway_token_keys_fetched_timestamp_seconds{{pod="{pod}", issuer="{ISSUER}"}}'
    return {name: fetched, **fetches(up, failed, pod)}


def certificate(name: str, labels: str, days: int) -> dict[str, str]:
    return {f"{name}{{{labels}}}": f"{days * 86400}x60"}


def versions(*values: str) -> dict[str, str]:
    return {f'slipway_build_info{{pod="p{n}", version="{n}"}}': v for n, v in enumerate(values)}


ISSUED = (CERT_MANAGER, f'namespace="{NAMESPACE}", name="{TLS_SECRET}"')
DATABASE = dependency("database", "1x3 0x60")
EXPIRING = "SlipwayTokenKeysExpiring"
# The oldest keys that are fresh enough when a test begins, in 1970; fetches fail from the 20th minute.
OLDEST = "-64800"
OLD = keys(f"{OLDEST}x60", "1x20 0x60", "0x20 0+2x60")
CASES: dict[str, list[Case]] = {
    "SlipwayDown": [
        Case("no pod answers", {'up{pod="a"}': "1x3 0x60", 'up{pod="b"}': "0x60"}, "7m", fires=True),
        Case("no pod is known", {'up{pod="a"}': "1x3 stale"}, "10m", fires=True),
        Case("for a moment", {'up{pod="a"}': "1x3 0x1 1x60"}, "10m", fires=False),
        Case("one of two answers", {'up{pod="b"}': "1x3 0x5 1x60"}, "8m", fires=False),
    ],
    "SlipwayPodUnreachable": [
        Case("one of two", {'up{pod="b"}': "0x60"}, "11m", fires=True),
        Case("a pod starts", {'up{pod="b"}': "0x5 1x60"}, "11m", fires=False),
    ],
    "SlipwayErrorBudgetBurnsFast": [
        Case("2 % for an hour", {OK: "0+98x120", FAILED: "0+2x120"}, "60m", fires=True),
        Case(
            "0.8 % for six hours", {OK: "0+992x400", FAILED: "0+8x400"}, "350m", fires=True, besides=(SLOWLY,)
        ),
        Case("all of a sudden", {OK: "0+100x60 6000x60", FAILED: "0x60 0+100x60"}, "68m", fires=True),
        Case(
            "over again", {OK: "0+100x600", FAILED: "0+50x30 1500x600"}, "75m", fires=False, besides=(SLOWLY,)
        ),
        Case("within the budget", {OK: "0+9999x400", FAILED: "0+1x400"}, "350m", fires=False),
        Case("no failure ever", {OK: "0+100x400"}, "350m", fires=False),
        Case("three of a few at night", {OK: "0+0.2x120", FAILED: "0x10 1 2 3 3x120"}, "16m", fires=False),
    ],
    "SlipwayErrorBudgetBurnsSlowly": [
        Case("0.4 % for a day", {OK: f"0+996x{DAY}", FAILED: f"0+4x{DAY}"}, "23h", fires=True),
        Case("0.2 % for three days", {OK: f"0+998x{3 * DAY}", FAILED: f"0+2x{3 * DAY}"}, "70h", fires=True),
        Case("within the budget", {OK: f"0+9999x{DAY}", FAILED: f"0+5x{DAY}"}, "23h", fires=False),
        Case("six of a few in a day", {OK: f"0+0.1x{DAY}", FAILED: f"0+0.004x{DAY}"}, "23h", fires=False),
        Case(
            "over since seven hours", {OK: f"0+1000x{DAY}", FAILED: f"0+5x600 3000x{DAY}"}, "18h", fires=False
        ),
    ],
    "SlipwaySlow": [
        Case("2 of 100", requests(("0.5", 98), ("1", 98), ("2.5", 100), ("+Inf", 100)), "20m", fires=True),
        Case("1 of 200", requests(("0.5", 199), ("1", 199), ("2.5", 200), ("+Inf", 200)), "20m", fires=False),
        Case(
            "an export takes its time",
            {
                **requests(("1", 100), ("2.5", 100), ("+Inf", 100)),
                **requests(("1", 0), ("2.5", 9), ("+Inf", 9), path="/api/v1/articles/export"),
            },
            "20m",
            fires=False,
        ),
    ],
    "SlipwayRequestsTurnedAway": [
        Case("one a second", {'slipway_requests_turned_away_total{pod="a"}': "0+60x60"}, "10m", fires=True),
        Case("a burst", {'slipway_requests_turned_away_total{pod="a"}': "0x5 99x60"}, "10m", fires=False),
    ],
    "SlipwayDatabaseDown": [
        Case("for all", {**DATABASE, **dependency("database", "0x60", "b")}, "5m", fires=True),
        Case("for half of them", {**DATABASE, **dependency("database", "1x60", "b")}, "5m", fires=False),
        Case("back at once", dependency("database", "1x3 0x0 1x60"), "6m", fires=False),
    ],
    "SlipwayDatabasePoolFull": [
        Case("all in use", pool(8), "16m", fires=True),
        Case("most in use", pool(7), "16m", fires=False),
        Case(
            "all in use for a minute of five",
            pool(1) | {'slipway_database_connections{pod="a", state="used"}': "8 1 1 1 1 " * 12},
            "16m",
            fires=False,
        ),
    ],
    "SlipwayDatabaseWaitsGivenUp": [
        Case("one a second", {WAITS_GIVEN_UP: "0+60x60"}, "10m", fires=True),
        Case(
            "in bursts", {WAITS_GIVEN_UP: " ".join(f"{n // 3 * 180}" for n in range(60))}, "12m", fires=True
        ),
        Case("none", {WAITS_GIVEN_UP: "7x60"}, "10m", fires=False),
    ],
    "SlipwayEventLoopLag": [
        Case("2 of 100 late", lag(("0.1", 98), ("0.25", 98), ("0.5", 100), ("+Inf", 100)), "20m", fires=True),
        Case("in time", lag(("0.1", 240), ("0.25", 240), ("0.5", 240), ("+Inf", 240)), "20m", fires=False),
    ],
    "SlipwayFeatureFlagsStale": [
        Case("not read any more", flags_read("0x60"), "10m", fires=True),
        Case("up to date", flags_read("0+60x60"), "10m", fires=False),
        Case("for a moment", flags_read("0x4 300+60x60"), "10m", fires=False),
        Case(
            "the database is down",
            flags_read("0x60") | dependency("database", "0x60") | dependency("database", "1x60", "b"),
            "10m",
            fires=False,
        ),
    ],
    "SlipwayRedisDown": [
        Case("for all", dependency("redis", "1x3 0x60"), "10m", fires=True),
        Case("restarted", dependency("redis", "1x3 0x2 1x60"), "10m", fires=False),
    ],
    "SlipwayLimiterFallback": [
        Case(
            "half of them",
            {BY_REDIS: "0+60x60", f'{BY_PROCESS}, decision="allowed"}}': "0+60x60"},
            "20m",
            fires=True,
        ),
        Case(
            "a caller over the limit",
            {BY_REDIS: "0+60x60", f'{BY_PROCESS}, decision="refused"}}': "0+600x60"},
            "20m",
            fires=False,
        ),
    ],
    "SlipwayMigrationPending": [
        Case("for long", {'slipway_migration_pending{pod="a"}': "1x60"}, "20m", fires=True),
        *AT_THE_GATE,
        Case("then done", {'slipway_migration_pending{pod="a"}': "1x10 0x60"}, "20m", fires=False),
    ],
    "SlipwayRolloutStuck": [
        Case("both for long", versions("1x60", "1x60"), "40m", fires=True),
        Case(
            "no new pod comes up",
            {f"kube_deployment_status_condition{{{GIVEN_UP}}}": "1x60"},
            "40m",
            fires=True,
        ),
        Case(
            "another Deployment's",
            {f"kube_deployment_status_condition{{{OTHERS}}}": "1x60"},
            "40m",
            fires=False,
        ),
        Case("one after the other", versions("1x30 stale", "_x20 1x60"), "55m", fires=False),
    ],
    "SlipwayApiKeyExpiring": [
        Case(
            "in six days",
            {KEY_EXPIRY: f"{6 * 86400}x60"},
            "20m",
            fires=True,
        ),
        Case(
            "in six days as one pod knows",
            {
                KEY_EXPIRY: f"{6 * 86400}x60",
                of_other_pod(KEY_EXPIRY): f"{8 * 86400}x60",
            },
            "20m",
            fires=True,
        ),
        Case(
            "in eight days",
            {KEY_EXPIRY: f"{8 * 86400}x60"},
            "20m",
            fires=False,
        ),
        Case(
            "never",
            {KEY_EXPIRY: " ".join(["NaN"] * 30)},
            "20m",
            fires=False,
        ),
    ],
    "SlipwayBackupTooOld": [
        Case("two days ago", {BACKUP: f"-{2 * 86400}x60"}, "20m", fires=True),
        Case("made meanwhile", {BACKUP: f"-{2 * 86400}x30 60x30"}, "40m", fires=False),
        Case(
            "made as one pod knows",
            {BACKUP: f"-{2 * 86400}x60", of_other_pod(BACKUP): "60x60"},
            "20m",
            fires=False,
        ),
        Case("never", {BACKUP: " ".join(["NaN"] * 30)}, "20m", fires=False),
    ],
    "SlipwayBackupDrillFailed": [
        Case("failed", {DRILL: "0x60"}, "20m", fires=True),
        Case("failed as one pod knows", {DRILL: "0x60", of_other_pod(DRILL): "1x60"}, "20m", fires=True),
        Case("good", {DRILL: "1x60"}, "20m", fires=False),
        Case("never", {DRILL: " ".join(["NaN"] * 30)}, "20m", fires=False),
    ],
    "SlipwayBackupStorageFilling": [
        Case("nearly full", space(5), "20m", fires=True),
        Case(
            "nearly full as one pod knows",
            space(5) | {of_other_pod(name): values for name, values in space(50).items()},
            "20m",
            fires=True,
        ),
        Case("half full", space(50), "20m", fires=False),
        Case("in S3", {name: " ".join(["NaN"] * 30) for name in space(1)}, "20m", fires=False),
    ],
    NOT_FETCHED: [
        Case("for long", fetches("0x60", "0+2x60"), "30m", fires=True, besides=(EXPIRING,)),
        Case("keys are young", keys("0x60", "0x60", "0+2x60"), "30m", fires=True),
        Case(
            "by one of two", {**keys("0x60", "0x60"), **keys("0x60", "1x60", "0x60", "b")}, "30m", fires=True
        ),
        Case("the database", dependency("database", "1x60"), "20m", fires=False),
        Case("for a moment", keys("0x60", "0x10 1x60", "0+2x10 20x60"), "20m", fires=False),
        Case("back before it went off", keys("0x10 600x60", "0x10 1x60", "0+2x10 20x60"), "20m", fires=False),
        Case("back after it went off", keys("0x30 1800x60", "0x30 1x60", "0+2x30 60x60"), "32m", fires=False),
        # With a jwks_refresh of 40 minutes: only a token with an unknown key makes a pod fetch earlier.
        Case("once, by an unknown key", keys("0x60", "1x5 0x33 1x20", "0x5 1x60"), "22m", fires=False),
        Case(
            "again and again, by unknown keys",
            keys("0x60", "1x5 0x33 1x20", "0x5 1+1x33 34x20"),
            "25m",
            fires=True,
        ),
    ],
    EXPIRING: [
        Case("old, and no new ones", OLD, "45m", fires=True, besides=(NOT_FETCHED,)),
        Case(
            "of one pod, while another has fetched",
            {**OLD, **keys(f"{OLDEST}x10 600x60", "1x60", "0x60", "b")},
            "45m",
            fires=True,
            besides=(NOT_FETCHED,),
        ),
        Case("none since the pods started", fetches("0x60", "0+2x60"), "14m", fires=True),
        Case(
            "none yet in one of two pods",
            {**keys("0x60", "1x60", "0x60"), **fetches("0x60", "0+2x60", "b")},
            "14m",
            fires=True,
        ),
        # With a jwks_cooldown of an hour.
        Case("none, and the next attempt is far off", fetches("0x60", "1x60"), "14m", fires=True),
        Case("none at the first attempt", fetches("0x1 1x60", "0 1x60"), "20m", fires=False),
        Case("old, and just fetched", keys(f"{OLDEST}x10 600x60", "0x10 1x60"), "11m", fires=False),
        Case(
            "old, and back after one attempt",
            keys(f"{OLDEST}x21 1260x60", "1x20 0 1x60", "0x20 1x60"),
            "35m",
            fires=False,
        ),
        Case(
            "fetched an hour ago",
            keys("-2400x60", "1x20 0x60", "0x20 0+2x60"),
            "45m",
            fires=False,
            besides=(NOT_FETCHED,),
        ),
    ],
    "SlipwayCertificateExpiring": [
        Case(f"in {days} days, says {who}", certificate(name, labels, days), "20m", fires=fires, foreign=True)
        for who, name, labels in (
            ("cert-manager", *ISSUED),
            (
                "cert-manager through its own monitor",
                CERT_MANAGER,
                f'namespace="cert-manager", exported_namespace="{NAMESPACE}", name="{TLS_SECRET}"',
            ),
            ("ingress-nginx", NGINX, f'namespace="ingress-nginx", host="{HOST}", secret_name="{TLS_SECRET}"'),
            ("Traefik", TRAEFIK, f'cn="x", serial="1", sans="a.example.com,{HOST}"'),
            ("Traefik, of a domain", TRAEFIK, 'cn="", serial="1", sans="*.example.com"'),
        )
        for days, fires in ((6, True), (8, False))
    ]
    + [
        Case(f"of {whose}", certificate(name, labels, 1), "20m", fires=False, foreign=True)
        for whose, name, labels in (
            ("another namespace", CERT_MANAGER, f'namespace="other", name="{TLS_SECRET}"'),
            ("another host", NGINX, f'host="other.example.com", secret_name="{TLS_SECRET}"'),
            ("a host with a like name", TRAEFIK, 'sans="shopXexample.com,my.shop.example.com"'),
        )
    ]
    + [
        Case(
            f"renewed, and Traefik shows the old one: {old} and {new} days",
            certificate(TRAEFIK, f'instance="a", cn="x", serial="1", sans="{HOST}"', old)
            | certificate(TRAEFIK, f'instance="a", cn="x", serial="2", sans="{HOST}"', new),
            "20m",
            fires=fires,
            foreign=True,
        )
        for old, new, fires in ((1, 80, False), (3, 6, True))
    ]
    + [
        Case(
            "renewed for one Traefik of two",
            certificate(TRAEFIK, f'instance="a", cn="x", serial="2", sans="{HOST}"', 80)
            | certificate(TRAEFIK, f'instance="b", cn="x", serial="1", sans="{HOST}"', 1),
            "20m",
            fires=True,
            foreign=True,
        )
    ]
    + [Case("not issued yet", certificate(*ISSUED, 0), "20m", fires=False, foreign=True)],
    **CLUSTER_CASES,
}
