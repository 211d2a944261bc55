"""For every value, a different one, and the settings that it needs to have an effect."""

from typing import Any

from chart.reference import CHART, described

EXTERNAL = {"postgresql": {"enabled": False}, "externalDatabase": {"host": "db", "existingSecret": "db"}}
CACHE = {"redis": {"enabled": False}, "externalRedis": {"host": "cache"}}
_DATABASE: dict[str, Any] = {"host": "db", "existingSecret": "db"}
OWNED = {
    "postgresql": {"enabled": False},
    "externalDatabase": {**_DATABASE, "migration": {"user": "owner", "existingSecret": "owner"}},
}
DIRECT = {
    "postgresql": {"enabled": False},
    "externalDatabase": {**_DATABASE, "migration": {"host": "direct"}},
}
VERIFIED = {"postgresql": {"enabled": False}, "externalDatabase": {**_DATABASE, "tls": {"mode": "verify-ca"}}}
AUTHORITY = {
    "postgresql": {"enabled": False},
    "externalDatabase": {**_DATABASE, "tls": {"mode": "verify-ca", "caSecret": "mine"}},
}
TLS_CACHE = {"redis": {"enabled": False}, "externalRedis": {"host": "cache", "tls": {"enabled": True}}}
CACHE_AUTHORITY = {
    "redis": {"enabled": False},
    "externalRedis": {"host": "cache", "tls": {"enabled": True, "caSecret": "mine"}},
}
SENTINEL: dict[str, Any] = {"hosts": ["a"], "master": "shop"}
SENTINEL_TLS = {**SENTINEL, "tls": {"enabled": True}}
SENTINEL_AUTHORITY = {**SENTINEL, "tls": {"enabled": True, "caSecret": "mine"}}


def _watched(sentinel: dict[str, Any]) -> dict[str, Any]:
    return {"redis": {"enabled": False}, "externalRedis": {"sentinel": sentinel}}


INGRESS = {"ingress": {"enabled": True, "hosts": ["a.example.com"]}}
PEERS = [{"podSelector": {"matchLabels": {"role": "friend"}}}]
PARENTS = [{"name": "gateway"}]
ROUTE = {"httpRoute": {"enabled": True, "hosts": ["a.example.com"], "parentRefs": PARENTS}}
TRIGGERS = [{"type": "cpu"}]
COLLECTOR = {"networkPolicy": {"otlp": {"to": PEERS}}}
PGADMIN: dict[str, Any] = {"pgadmin": {"enabled": True, "email": "a@example.com"}}
STACK = {"kube-prometheus-stack": {"enabled": True}}
SCRAPED = {"serviceMonitor": {"enabled": True}}
ALERTS = {**SCRAPED, "prometheusRule": {"enabled": True}}
BACKUPS: dict[str, Any] = {"backup": {"enabled": True, "storage": "s3://shop/x"}}
DIGEST = f"sha256:{'1' * 64}"

WHOLE = {"podSecurityContext", "securityContext", "dnsConfig"}
"""Objects of Kubernetes with defaults: values of one piece, not groups of values."""
ELSEWHERE = {
    "autoscaling.memory",
    "extraObjects",
    "migration.gate",
    "strategy.type",
    "targetPlatform",
    "topologySpreadConstraints",
}
"""Values whose effect test_unusual_values.py and test_platforms.py show, besides those of the table ARRIVES."""
ONLY_REFUSES = {
    "credentials.generate",
    "externalDatabase.maxConnections",
    "prometheusRule.scrapedOtherwise",
}
"""Values that change no rendering: tests/chart/test_refusals.py holds what they do."""

CHANGES: dict[str, tuple[Any, dict[str, Any]]] = {
    "backup.enabled": (True, {"backup": {"storage": "s3://shop/x"}}),
    "backup.storage": ("s3://shop/y", BACKUPS),
    "backup.existingClaim": ("mine", {"backup": {"enabled": True, "existingClaim": "other"}}),
    "backup.existingSecret": ("mine", BACKUPS),
    "backup.clientImage": ("postgres:17", BACKUPS),
    "backup.schedules.create": ("1 1 * * 1", BACKUPS),
    "backup.schedules.prune": ("1 1 * * 2", BACKUPS),
    "backup.schedules.drill": ("1 1 * * 3", BACKUPS),
    "backup.timeZone": ("Europe/Berlin", BACKUPS),
    "backup.deadline": (77, BACKUPS),
    "backup.restore": ("latest", BACKUPS),
    "networkPolicy.backup.to": (PEERS, BACKUPS),
    "networkPolicy.backup.port": (9000, BACKUPS),
    "nameOverride": ("other", {}),
    "fullnameOverride": ("other", {}),
    "image.repository": ("other", {}),
    "image.tag": ("2.0.0", {}),
    "image.digest": (DIGEST, {"image": {"repository": "registry.example.com/slipway"}}),
    "image.pullPolicy": ("Always", {}),
    "replicaCount": (3, {}),
    "drain": (17, {}),
    "shutdownTimeout": (19, {}),
    "listen": ("::", {}),
    "publicPath": ("/shop", {}),
    "config.app.environment": ("development", {}),
    "config.logging.format": ("console", {}),
    "security.existingSecret": ("mine", {}),
    "security.existingSecretKey": ("mine", {"security": {"existingSecret": "mine"}}),
    "security.previousSecretKey": ("before", {}),
    "security.adminKey.existingSecret": ("mine", {}),
    "security.adminKey.existingSecretKey": ("mine", {"security": {"adminKey": {"existingSecret": "mine"}}}),
    "externalDatabase.host": ("other", EXTERNAL),
    "externalDatabase.port": (6432, EXTERNAL),
    "externalDatabase.name": ("other", EXTERNAL),
    "externalDatabase.user": ("other", EXTERNAL),
    "externalDatabase.existingSecret": ("other", EXTERNAL),
    "externalDatabase.existingSecretKey": ("other", EXTERNAL),
    "externalRedis.host": ("other", CACHE),
    "externalRedis.port": (6380, CACHE),
    "externalRedis.existingSecret": ("other", CACHE),
    "externalRedis.existingSecretKey": (
        "other",
        {**CACHE, "externalRedis": {"host": "cache", "existingSecret": "x"}},
    ),
    **{
        f"externalDatabase.migration.{field}": ("other", OWNED)
        for field in ("user", "existingSecret", "existingSecretKey")
    },
    "externalDatabase.urlKey": (
        "other",
        {
            "postgresql": {"enabled": False},
            "externalDatabase": {"existingSecret": "db", "urlKey": "url"},
        },
    ),
    "externalDatabase.tls.clientSecret": ("mine", VERIFIED),
    "externalDatabase.migration.clientSecret": (
        "mine",
        {
            **OWNED,
            "externalDatabase": {**OWNED["externalDatabase"], "tls": {"mode": "verify-full"}},
        },
    ),
    "externalRedis.user": ("shop", {**CACHE, "externalRedis": {"host": "cache", "existingSecret": "x"}}),
    "externalDatabase.migration.host": ("direct", EXTERNAL),
    "externalDatabase.migration.port": (6433, DIRECT),
    "externalDatabase.tls.mode": ("verify-full", EXTERNAL),
    "externalDatabase.tls.caConfigMap": ("mine", VERIFIED),
    "externalDatabase.tls.caSecret": ("mine", VERIFIED),
    "externalDatabase.tls.caKey": ("mine", AUTHORITY),
    "externalRedis.tls.enabled": (True, CACHE),
    "externalRedis.tls.caConfigMap": ("mine", TLS_CACHE),
    "externalRedis.tls.caSecret": ("mine", TLS_CACHE),
    "externalRedis.tls.caKey": ("mine", CACHE_AUTHORITY),
    "externalRedis.sentinel.hosts": (["b:26380"], _watched(SENTINEL)),
    "externalRedis.sentinel.port": (26380, _watched(SENTINEL)),
    "externalRedis.sentinel.master": ("other", _watched(SENTINEL)),
    "externalRedis.sentinel.user": ("other", _watched({**SENTINEL, "existingSecret": "mine"})),
    "externalRedis.sentinel.existingSecret": ("mine", _watched(SENTINEL)),
    "externalRedis.sentinel.existingSecretKey": ("other", _watched({**SENTINEL, "existingSecret": "mine"})),
    "externalRedis.sentinel.tls.enabled": (True, _watched(SENTINEL)),
    "externalRedis.sentinel.tls.caConfigMap": ("mine", _watched(SENTINEL_TLS)),
    "externalRedis.sentinel.tls.caSecret": ("mine", _watched(SENTINEL_TLS)),
    "externalRedis.sentinel.tls.caKey": ("mine", _watched(SENTINEL_AUTHORITY)),
    "databaseRole.name": ("other", {}),
    "databaseRole.existingSecret": ("other", {}),
    "databaseRole.existingSecretKey": ("other", {"databaseRole": {"existingSecret": "mine"}}),
    "migration.enabled": (False, {"databaseRole": {"name": ""}}),
    "migration.hook": (True, {**EXTERNAL, "security": {"existingSecret": "mine"}}),
    "migration.wait": (101, {}),
    "migration.deadline": (700, {}),
    "migration.ttl": (103, {}),
    "resources.requests.cpu": ("7m", {}),
    "resources.requests.memory": ("71Mi", {}),
    "resources.requests.ephemeral-storage": ("72Mi", {}),
    "resources.limits.cpu": ("7", {}),
    "resources.limits.memory": ("71Gi", {}),
    "resources.limits.ephemeral-storage": ("72Gi", {}),
    "tmpSize": ("73Mi", {}),
    **{
        f"probes.{probe}.{field}": (tens + ones, {})
        for tens, probe in ((410, "startup"), (420, "liveness"), (430, "readiness"))
        for ones, field in enumerate(("periodSeconds", "timeoutSeconds", "failureThreshold"))
    },
    "service.port": (81, {}),
    "service.nodePort": (30080, {"service": {"type": "NodePort"}}),
    "service.externalTrafficPolicy": ("Local", {"service": {"type": "LoadBalancer"}}),
    "ingress.enabled": (True, {"ingress": {"hosts": ["a.example.com"]}}),
    "ingress.className": ("other", INGRESS),
    "ingress.hosts": (["b.example.com"], INGRESS),
    "ingress.tlsSecret": ("cert", INGRESS),
    "ingress.annotations": ({"a": "b"}, INGRESS),
    **{
        f"ingress.nginx.annotations.nginx.ingress.kubernetes.io/{name}": (f"7{number}", INGRESS)
        for number, name in enumerate(
            (
                "proxy-body-size",
                "proxy-request-buffering",
                "proxy-read-timeout",
                "proxy-send-timeout",
                "proxy-next-upstream",
            )
        )
    },
    "autoscaling.enabled": (True, {}),
    **{
        f"autoscaling.{field}": (value, {"autoscaling": {"enabled": True}})
        for field, value in (("minReplicas", 3), ("maxReplicas", 5), ("cpu", "600m"))
    },
    "keda.enabled": (True, {"keda": {"triggers": TRIGGERS}}),
    "keda.triggers": ([{"type": "cron"}], {"keda": {"enabled": True, "triggers": TRIGGERS}}),
    "cronJobs": ({"mine": {"schedule": "@daily", "job": "mine"}}, {}),
    "purge.enabled": (False, {}),
    "purge.schedule": ("@daily", {}),
    "purge.deadline": (107, {}),
    "httpRoute.enabled": (True, {"httpRoute": {"hosts": ["a.example.com"], "parentRefs": PARENTS}}),
    "httpRoute.hosts": (["b.example.com"], ROUTE),
    "httpRoute.annotations": ({"a": "b"}, ROUTE),
    "httpRoute.rules": ([{"matches": [{"path": {"value": "/api"}}]}], ROUTE),
    "serviceMonitor.enabled": (True, {}),
    "serviceMonitor.labels": ({"a": "b"}, {"serviceMonitor": {"enabled": True}}),
    "serviceMonitor.namespace": ("monitoring", {"serviceMonitor": {"enabled": True}}),
    "serviceMonitor.interval": ("15s", {"serviceMonitor": {"enabled": True}}),
    "serviceMonitor.scrapeTimeout": ("5s", {"serviceMonitor": {"enabled": True}}),
    "prometheusRule.enabled": (True, SCRAPED),
    "prometheusRule.labels": ({"a": "b"}, ALERTS),
    **{
        f"prometheusRule.{field}": (value, ALERTS)
        for field, value in (
            ("alertLabels", {"team": "shop"}),
            ("alerts", {"SlipwaySlow": {"enabled": False}}),
            ("runbookUrl", "https://example.com/"),
            ("objective", 99),
            ("latency", 0.5),
            ("certificateDays", 2),
        )
    },
    "prometheusRule.certificateDays": (
        2,
        {
            **ALERTS,
            "ingress": {"enabled": True, "hosts": ["a.example.com"], "tlsSecret": "tls"},
        },
    ),
    "dashboards.enabled": (True, {}),
    "dashboards.datasources.prometheus": ("other", {"dashboards": {"enabled": True}}),
    "dashboards.datasources.loki": ("other", {"dashboards": {"enabled": True}}),
    "dashboards.labels.grafana_dashboard": ("yes", {"dashboards": {"enabled": True}}),
    "dashboards.annotations.grafana_folder": ("Other", {"dashboards": {"enabled": True}}),
    "networkPolicy.enabled": (False, {}),
    "networkPolicy.public.from": (PEERS, {}),
    "networkPolicy.metrics.from": ([], {}),
    "networkPolicy.dns.to": ([], {}),
    "networkPolicy.dns.port": (5353, {}),
    "networkPolicy.database.to": (PEERS, EXTERNAL),
    "networkPolicy.redis.to": (PEERS, CACHE),
    "networkPolicy.otlp.to": (PEERS, {}),
    "networkPolicy.otlp.port": (4318, COLLECTOR),
    "networkPolicy.apiServer.to": (PEERS, STACK),
    "networkPolicy.apiServer.ports": ([8443], STACK),
    "networkPolicy.grafana.from": (PEERS, STACK),
    "networkPolicy.tools.from": (PEERS, {"redisCommander": {"enabled": True}}),
    "pgadmin.enabled": (True, {"pgadmin": {"email": "a@example.com"}}),
    "pgadmin.image": ("other:1", PGADMIN),
    "pgadmin.email": ("b@example.com", PGADMIN),
    "pgadmin.existingSecret": ("mine", PGADMIN),
    "pgadmin.existingSecretKey": ("mine", {"pgadmin": {**PGADMIN["pgadmin"], "existingSecret": "mine"}}),
    "redisCommander.enabled": (True, {}),
    "redisCommander.image": ("other:1", {"redisCommander": {"enabled": True}}),
    "redisCommander.existingSecret": ("mine", {"redisCommander": {"enabled": True}}),
    "redisCommander.existingSecretKey": (
        "mine",
        {"redisCommander": {"enabled": True, "existingSecret": "mine"}},
    ),
    "networkPolicy.jobs.egress": ([{"ports": [{"port": 443}]}], {}),
    "networkPolicy.egress": ([{"ports": [{"port": 443}]}], {}),
    "serviceAccount.create": (False, {}),
    "serviceAccount.name": ("other", {}),
    "topologyKeys": (["rack"], {}),
}

NOT_AS_GIVEN = {
    "autoscaling.maxReplicas",
    "autoscaling.minReplicas",
    "config.app.environment",
    "config.logging.format",
    "externalDatabase.tls.mode",
    "fullnameOverride",
    "image.digest",
    "image.pullPolicy",
    "listen",
    "nameOverride",
    "networkPolicy.backup.port",
    "networkPolicy.tools.from",
    "prometheusRule.certificateDays",
    "prometheusRule.latency",
    "prometheusRule.objective",
    "prometheusRule.runbookUrl",
    "publicPath",
    "replicaCount",
    "service.externalTrafficPolicy",
    "service.nodePort",
    "externalRedis.sentinel.port",
}
"""Values that arrive as a part of something, that are somewhere in every rendering, that change other values, or that
need a bundled server."""

TEXTS: dict[str, Any] = {
    "name": "007",
    "text": "007",
    "string": "007",
    "tag": "007",
    "texts": ["007"],
    "pull secrets": ["007"],
    "strings by name": {"a": "007"},
}
"""A value for each type that is, or holds, text."""
# Names of Services, which cannot be numbers.
NAMES = ("nameOverride", "fullnameOverride", "postgresql.nameOverride", "redis.fullnameOverride")
KINDS = {".".join(value.path): value.type for value in described((CHART / "values.yaml").read_text("utf-8"))}


def is_text(path: str) -> bool:
    """Whether a value is text that may look like a number. test_strings.py shows that it arrives."""
    return KINDS.get(path) in TEXTS and path not in NAMES
