"""External PostgreSQL and Redis: separate releases in a separate namespace."""

import csv
import secrets
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.cluster import ROOT, Cluster, run
from tests.cluster.release import HELM, INSTALL_SECONDS, SERVER_IMAGES, values_of

PASSWORD = secrets.token_hex(16)
DATABASE, OWNER, USER = "shop", "shop_owner", "shop_app"
SETTINGS: dict[str, dict[str, object]] = {
    "postgres": {
        "auth": {
            "username": OWNER,
            "database": DATABASE,
            "existingSecret": "servers",
            "secretKeys": {"adminPasswordKey": "password"},
        },
        "image": {"tag": SERVER_IMAGES["postgresql"], "imagePullPolicy": "IfNotPresent"},
        "podSecurityContext": {"fsGroup": 999, "seccompProfile": {"type": "RuntimeDefault"}},
        "startupProbe": {"initialDelaySeconds": 2, "periodSeconds": 1, "failureThreshold": 120},
        "readinessProbe": {"initialDelaySeconds": 0, "periodSeconds": 2},
        "persistence.enabled": False,
    },
    "redis": {
        "architecture": "standalone",
        "auth": {"existingSecret": "servers", "existingSecretPasswordKey": "password"},
        "image": {"tag": SERVER_IMAGES["redis"], "pullPolicy": "IfNotPresent"},
        "readinessProbe": {"initialDelaySeconds": 1, "periodSeconds": 2},
        "persistence.enabled": False,
    },
}


def secret(name: str, key: str, value: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {key: value}}


def install(cluster: Cluster, servers: Mapping[str, Mapping[str, object]] = SETTINGS) -> dict[str, str]:
    """Start the servers with PASSWORD and a role for the service, and yield their host names."""
    cluster.create(secret("servers", "password", PASSWORD))
    for name, settings in servers.items():
        release = (HELM, "--namespace", cluster.namespace, "install", f"shop-{name}", _package(name))
        run(
            *release,
            *values_of(settings),
            "--wait",
            "--timeout",
            f"{INSTALL_SECONDS}s",
            seconds=INSTALL_SECONDS + 30,
        )
    sql(cluster, f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
    return {name: host(cluster, name) for name in servers}


def host(cluster: Cluster, name: str) -> str:
    return f"shop-{name}.{cluster.namespace}.svc"


def psql(cluster: Cluster, to: str, statement: str) -> str:
    """Run psql in the pod of PostgreSQL with a connection string, and return its CSV output."""
    command = ("psql", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "--csv", "-d", to, "-c", statement)
    return cluster.kubectl("exec", "shop-postgres-0", "--", *command)


def sql(cluster: Cluster, statement: str) -> list[dict[str, str]]:
    """Run a statement as the owner, a superuser, through the socket in the pod, and return the rows."""
    return rows(psql(cluster, f"user={OWNER} dbname={DATABASE}", statement))


def rows(printed: str) -> list[dict[str, str]]:
    return list(csv.DictReader(printed.splitlines()))


def _package(name: str) -> str:
    (found,) = Path(ROOT, "chart", "charts").glob(f"{name}-[0-9]*.tgz")
    return str(found)
