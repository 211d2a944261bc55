"""Values that cannot work: the settings, how the reason begins, and the fix that it names."""

import re
from collections.abc import Iterator

Row = tuple[str, str, str]

WATCHED = "redis.enabled=false,externalRedis.sentinel.hosts={a},externalRedis.sentinel.master=shop"
EXTERNAL = "postgresql.enabled=false,externalDatabase.host=db,externalDatabase.existingSecret=db"

# Each decides whether the mistakes of other rows are any, or leads to other reasons together with them.
ALONE: list[Row] = [
    (
        "postgresql.enabled=false",
        "postgresql.enabled is false and externalDatabase.host is empty: ",
        "Name one with externalDatabase.host",
    ),
    (
        "externalDatabase.host=db",
        'externalDatabase.host is "db" while postgresql.enabled is true: ',
        "Set postgresql.enabled=false",
    ),
    (
        "databaseRole.name=slipway",
        'databaseRole.name is "slipway", as is postgresql.auth.username: ',
        "Name another",
    ),
    (
        "migration.enabled=false",
        "migration.enabled is false with the bundled PostgreSQL: ",
        "Set migration.enabled=true",
    ),
    (
        "migration.hook=true",
        "migration.hook is true while postgresql.enabled is true: ",
        "Set migration.hook=false",
    ),
    (
        "credentials.generate=false",
        "credentials.generate is false, and no Secret has database-app-password, database-password, redis-password, ",
        "databaseRole.existingSecret, postgresql.auth.existingSecret, redis.auth.existingSecret, security.",
    ),
    (
        "redis.auth.existingSecretPasswordKey=database-password",
        'postgresql.auth.existingSecret and redis.auth.existingSecret both use key "database-password" of ',
        "Name another key, or your own Secret",
    ),
    (
        "security.existingSecret=slipway-credentials",
        'security.existingSecret is "slipway-credentials", the Secret that this chart generates: ',
        "or leave this empty to generate it",
    ),
    ("nameOverride=redis", 'nameOverride is "redis", as is the name of a bundled server: ', "Choose another"),
    (
        "fullnameOverride=slipway-postgresql",
        'fullnameOverride: the service and postgresql would both have a Service "slipway-postgresql", ',
        "Choose another name",
    ),
    (
        "serviceMonitor.enabled=true,config.monitoring.metrics=false",
        "serviceMonitor.enabled is true while config.monitoring.metrics is false: ",
        "Set serviceMonitor.enabled=false",
    ),
    (
        "serviceMonitor.enabled=true,serviceMonitor.interval=15s,serviceMonitor.scrapeTimeout=1m",
        "serviceMonitor.scrapeTimeout (1m) is longer than serviceMonitor.interval (15s): ",
        "Lower serviceMonitor.scrapeTimeout",
    ),
    (
        "serviceMonitor.enabled=true,networkPolicy.metrics.from=null",
        "serviceMonitor.enabled is true while networkPolicy.metrics.from is empty: ",
        "Name the pods of your Prometheus",
    ),
    (
        "prometheusRule.enabled=true,prometheusRule.scrapedOtherwise=true,networkPolicy.metrics.from=null",
        "prometheusRule.scrapedOtherwise is true while networkPolicy.metrics.from is empty: ",
        "Name the pods of your Prometheus",
    ),
    (
        "prometheusRule.enabled=true",
        "prometheusRule.enabled is true while serviceMonitor.enabled is false: ",
        "Set serviceMonitor.enabled=true, or prometheusRule.scrapedOtherwise=true",
    ),
    ("pgadmin.enabled=true", "pgadmin.enabled is true and pgadmin.email is empty: ", "Set pgadmin.email"),
    ("keda.enabled=true", "keda.enabled is true and keda.triggers is empty: ", "use autoscaling.enabled"),
]
OTHERS: list[Row] = [
    (
        "postgresql.enabled=false,externalDatabase.host=db",
        "externalDatabase.existingSecret is empty: ",
        "Create one and name it there",
    ),
    (
        f"{EXTERNAL},externalDatabase.migration.user=owner",
        'externalDatabase.migration.user is "owner" and externalDatabase.migration.existingSecret is empty: ',
        "Name the Secret",
    ),
    (
        f"{EXTERNAL},externalDatabase.migration.user=slipway,externalDatabase.migration.existingSecret=owner",
        'externalDatabase.migration.user and externalDatabase.user are both "slipway": ',
        "Name two roles",
    ),
    (
        f"{EXTERNAL},externalDatabase.migration.existingSecret=owner",
        "externalDatabase.migration.existingSecret is set and externalDatabase.migration.user is empty: ",
        "Name the role too",
    ),
    (
        f"{EXTERNAL},migration.enabled=false,security.adminKey.existingSecret=mine",
        "security.adminKey.existingSecret is set while migration.enabled is false: ",
        "create a key with `slipway keys create`",
    ),
    (
        f"{EXTERNAL},externalDatabase.tls.mode=require,externalDatabase.tls.caSecret=a,externalDatabase.tls.caConfigMap=b",
        "externalDatabase.tls.caConfigMap and externalDatabase.tls.caSecret are both set: ",
        "Leave one empty",
    ),
    (
        f"{EXTERNAL},externalDatabase.tls.caSecret=a",
        'externalDatabase.tls names certificates while externalDatabase.tls.mode is "prefer": ',
        "Set externalDatabase.tls.mode=verify-full",
    ),
    (
        "redis.enabled=false,externalRedis.host=cache,externalRedis.tls.caSecret=a",
        "externalRedis.tls names certificates while externalRedis.tls.enabled is false: ",
        "Set externalRedis.tls.enabled=true",
    ),
    (
        f"{EXTERNAL},externalDatabase.tls.clientSecret=a",
        'externalDatabase names a client certificate while externalDatabase.tls.mode is "prefer": ',
        "Set externalDatabase.tls.mode=verify-full",
    ),
    (
        f"{EXTERNAL},externalDatabase.urlKey=url",
        "externalDatabase.urlKey is set, and externalDatabase.existingSecret is not, or a part of what ",
        "leave the parts empty",
    ),
    (
        "redis.enabled=false,externalRedis.host=cache,externalRedis.user=a",
        "externalRedis.user is set and externalRedis.existingSecret is empty: ",
        "Name the Secret",
    ),
    (
        f"{EXTERNAL},migration.hook=true",
        "migration.hook is true and security.existingSecret is empty: ",
        "Name your own",
    ),
    (
        f"{EXTERNAL},config.database.pgbouncer=true",
        "config.database.pgbouncer is true while migration.enabled is true: ",
        "Name PostgreSQL itself in externalDatabase.migration.host, or set migration.enabled=false",
    ),
    (
        "postgresql.auth.secretKeys.adminPasswordKey=database-app-password",
        "postgresql.auth.existingSecret and databaseRole.existingSecret both use key ",
        "Name another key",
    ),
    (
        "postgresql.auth.secretKeys.adminPasswordKey=secret-key",
        "security.existingSecret and postgresql.auth.existingSecret both use key ",
        "Name another key",
    ),
    (
        "databaseRole.existingSecret=slipway-credentials",
        'databaseRole.existingSecret is "slipway-credentials", the Secret that this chart generates: ',
        "or leave this empty to generate it",
    ),
    (
        "postgresql.enabled=false,externalDatabase.host=db,externalDatabase.existingSecret=slipway-credentials",
        'externalDatabase.existingSecret is "slipway-credentials", the Secret that this chart generates: ',
        "Give your Secret another name",
    ),
    (
        "redis.enabled=false,externalRedis.host=cache,externalRedis.existingSecret=slipway-credentials",
        'externalRedis.existingSecret is "slipway-credentials", the Secret that this chart generates: ',
        "Give your Secret another name",
    ),
    (
        "service.nodePort=30080",
        'service.nodePort is 30080 while service.type is "ClusterIP": ',
        "Set service.type=NodePort",
    ),
    (
        "service.externalTrafficPolicy=Local",
        'service.externalTrafficPolicy is "Local" while service.type is "ClusterIP": ',
        "Set service.type=LoadBalancer or NodePort",
    ),
    (
        "postgresql.nameOverride=slipway",
        'postgresql.nameOverride is "slipway", as is the name of the service: ',
        "Choose another",
    ),
    (
        "redis.fullnameOverride=slipway",
        'redis.fullnameOverride: the service and redis would both have a Service "slipway", ',
        "Choose another name",
    ),
    (
        r"podLabels.app\.kubernetes\.io/component=api",
        "podLabels has app.kubernetes.io/component, by which Services and policies select the pods: ",
        "Leave it out",
    ),
    (
        r"commonLabels.app\.kubernetes\.io/name=api",
        "commonLabels has app.kubernetes.io/name, by which Services and policies select the pods: ",
        "Leave it out",
    ),
    (
        "extraEnv[0].name=SLIPWAY_SERVER__PORT,extraEnv[0].value=x",
        "extraEnv has SLIPWAY_SERVER__PORT, a name that the chart uses itself: ",
        "set the chart's value for it",
    ),
    (
        "extraEnv[0].name=SLIPWAY_LOGGING__FORMAT,extraEnv[0].value=json",
        "extraEnv has SLIPWAY_LOGGING__FORMAT, a name that the chart uses itself: ",
        "or config",
    ),
    (
        "extraEnv[0].name=A,extraEnv[1].name=A",
        "extraEnv has A, a name that is used twice: ",
        "Choose another name",
    ),
    (
        "extraVolumes[0].name=secrets",
        "extraVolumes has secrets, a name that the chart uses itself: ",
        "choose another name",
    ),
    (
        "extraContainers[0].name=x,extraInitContainers[0].name=x",
        "extraContainers has x, a name that is used twice: ",
        "Choose another name",
    ),
    (
        f"{EXTERNAL},pgadmin.enabled=true",
        "pgadmin.enabled is true while postgresql.enabled is false: ",
        "Set pgadmin.enabled=false",
    ),
    (
        "redis.enabled=false,redisCommander.enabled=true",
        "redisCommander.enabled is true while redis.enabled is false: ",
        "Set redisCommander.enabled=false",
    ),
    ("alloy.enabled=true", "alloy.enabled is true while loki.enabled is false: ", "Set loki.enabled=true"),
    ("postgresql.auth.existingSecret=", "postgresql.auth.existingSecret is empty: ", "Leave the default"),
    (
        f"{WATCHED},redis.enabled=true",
        "externalRedis.sentinel.hosts is set while redis.enabled is true: ",
        "Set redis.enabled=false",
    ),
    (
        f"{WATCHED},externalRedis.host=cache",
        "externalRedis.host and externalRedis.sentinel.hosts are both set: ",
        "Leave externalRedis.host empty",
    ),
    (
        f"{WATCHED},externalRedis.sentinel.master=",
        "externalRedis.sentinel.hosts is set and externalRedis.sentinel.master is empty: ",
        "Set the name",
    ),
    (
        f"{WATCHED},externalRedis.sentinel.user=a",
        "externalRedis.sentinel.user is set and externalRedis.sentinel.existingSecret is empty: ",
        "Name the Secret",
    ),
    (
        f"{WATCHED},externalRedis.sentinel.tls.caSecret=a",
        "externalRedis.sentinel.tls names certificates while externalRedis.sentinel.tls.enabled is false: ",
        "Set externalRedis.sentinel.tls.enabled=true",
    ),
    (
        "externalRedis.sentinel.master=shop",
        "externalRedis.sentinel has settings while externalRedis.sentinel.hosts is empty: ",
        "Name the sentinels",
    ),
    (
        "redis.enabled=true,externalRedis.host=cache",
        'externalRedis.host is "cache" while redis.enabled is true: ',
        "Set redis.enabled=false",
    ),
    ("redis.auth.existingSecret=", "redis.auth.existingSecret is empty: ", "Leave the default"),
    (
        "redis.architecture=replication",
        'redis.architecture is "replication": ',
        "Set redis.architecture=standalone",
    ),
    ("redis.tls.enabled=true", "redis.tls.enabled or redis.sentinel.enabled is true: ", "Set both to false"),
    (
        "redis.sentinel.enabled=true",
        "redis.tls.enabled or redis.sentinel.enabled is true: ",
        "an external Redis",
    ),
    ("postgresql.replicaCount=2", "postgresql.replicaCount is not 1, or ", "Set postgresql.replicaCount=1"),
    (
        "postgresql.replication.enabled=true",
        "postgresql.replicaCount is not 1, or ",
        "an external database",
    ),
    ("fullnameOverride=my.app", '"my.app" cannot be the name of a Service, ', "or set fullnameOverride"),
    (
        "redis.fullnameOverride=1st",
        '"1st" cannot be the name of a Service, ',
        "or set redis.fullnameOverride",
    ),
    (
        "ingress.enabled=true",
        "ingress.enabled is true and ingress.hosts is empty: ",
        "Set ingress.hosts[0] to",
    ),
    (
        "config.security.issuers[0].issuer=https://id.example.com",
        "config.security.issuers names issuers of tokens while networkPolicy.egress is empty: ",
        "Add a rule such as",
    ),
    (
        "httpRoute.enabled=true,httpRoute.hosts[0]=a.example.com",
        "httpRoute.enabled is true and httpRoute.parentRefs is empty: ",
        "Set httpRoute.parentRefs[0].name",
    ),
    (
        "httpRoute.enabled=true,httpRoute.parentRefs[0].name=gateway",
        "httpRoute.enabled is true and httpRoute.hosts is empty: ",
        "Set httpRoute.hosts[0] to",
    ),
    (
        "autoscaling.enabled=true,keda.enabled=true,keda.triggers[0].type=cpu",
        "autoscaling.enabled and keda.enabled are both true: ",
        "Set one of them to false",
    ),
    (
        "autoscaling.enabled=true,autoscaling.minReplicas=20",
        "autoscaling.minReplicas (20) is more than autoscaling.maxReplicas (8): ",
        "Raise autoscaling.maxReplicas",
    ),
    (
        "image.tag=",
        'image.repository is "slipway", which no registry has: ',
        "Set image.repository to where you",
    ),
    ("image.tag=latest", 'image.tag is "latest": ', "Name a version in image.tag"),
    (
        "ingress.tlsSecret=one,ingress.tls[0].secretName=two",
        "ingress.tlsSecret and ingress.tls are both set: ",
        "Leave one empty",
    ),
    (
        "httpRoute.rules[0].name=a,httpRoute.timeouts.request=3s",
        "httpRoute.rules is set, and httpRoute.filters or httpRoute.timeouts too: ",
        "Set them in your rules",
    ),
    (
        "migration.wait=900",
        "migration.wait (900) must be less than migration.deadline (600): ",
        "Raise migration.deadline",
    ),
    (
        "config.server.drain_delay=3",
        "config.server.drain_delay is set by the chart (SLIPWAY_SERVER__DRAIN_DELAY). ",
        "Use the chart's value for it: listen, publicPath, drain",
    ),
    (
        "config.database.password=x",
        "config.database.password is set by the chart (SLIPWAY_DATABASE__PASSWORD). ",
        "or a Secret",
    ),
]


def _groups(settings: str) -> set[str]:
    """Return the first names of `a.b=1,c.d=2`."""
    return {re.split(r"[.=\[]", setting)[0] for setting in settings.split(",")}


def together() -> Iterator[list[Row]]:
    """Return rows that one rendering can test: no two of them set values of the same group."""
    yield from ([row] for row in ALONE)
    found: list[tuple[set[str], list[Row]]] = []
    for row in OTHERS:
        groups = _groups(row[0])
        for taken, rows in found:
            if not taken & groups:
                taken.update(groups)
                rows.append(row)
                break
        else:
            found.append((groups, [row]))
    yield from (rows for _, rows in found)
