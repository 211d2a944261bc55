"""PostgreSQL and Redis as others run them: releases of charts of their own, in a namespace of their own."""

import secrets
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
        "startupProbe.initialDelaySeconds": 2,
        "persistence.enabled": False,
    },
    "redis": {
        "architecture": "standalone",
        "auth": {"existingSecret": "servers", "existingSecretPasswordKey": "password"},
        "image": {"tag": SERVER_IMAGES["redis"], "pullPolicy": "IfNotPresent"},
        "persistence.enabled": False,
    },
}


def secret(name: str, key: str, value: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {key: value}}


def install(cluster: Cluster) -> dict[str, str]:
    """The host names of both servers, which are ready and know PASSWORD. The role of the service may log in."""
    cluster.create(secret("servers", "password", PASSWORD))
    for name, settings in SETTINGS.items():
        release = (HELM, "--namespace", cluster.namespace, "install", f"shop-{name}", _package(name))
        run(
            *release,
            *values_of(settings),
            "--wait",
            "--timeout",
            f"{INSTALL_SECONDS}s",
            seconds=INSTALL_SECONDS + 30,
        )
    role = f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'"
    cluster.kubectl("exec", "shop-postgres-0", "--", "psql", "-U", OWNER, "-d", DATABASE, "-c", role)
    return {name: f"shop-{name}.{cluster.namespace}.svc" for name in SETTINGS}


def _package(name: str) -> str:
    (found,) = Path(ROOT, "chart", "charts").glob(f"{name}-[0-9]*.tgz")
    return str(found)
