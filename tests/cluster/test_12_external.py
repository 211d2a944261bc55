"""External servers: all Secrets exist, nothing is bundled, nothing generated."""

from collections.abc import Iterator

import pytest

from tests.cluster import servers
from tests.cluster.cluster import Cluster, wait_until
from tests.cluster.loading import load
from tests.cluster.namespaces import additional_namespace
from tests.cluster.release import NAME, Release

VALUES = "chart/ci/02-external-values.yaml"
REPLICAS = 4


@pytest.fixture(scope="module")
def hosts(cluster: Cluster) -> Iterator[dict[str, str]]:
    """The host names of the servers."""
    with additional_namespace(cluster, "servers") as namespace:
        yield servers.install(namespace)


@pytest.fixture(scope="module")
def external(cluster: Cluster, hosts: dict[str, str]) -> Iterator[Release]:
    """The release; four pods start on an empty database."""
    with additional_namespace(cluster, "external") as namespace:
        namespace.create(servers.secret("shop-signing", "key", "k" * 32))
        for name in ("shop-database", "shop-database-owner", "shop-redis"):
            namespace.create(servers.secret(name, "password", servers.PASSWORD))
        there = {
            "namespaceSelector": {
                "matchLabels": {"kubernetes.io/metadata.name": f"{cluster.namespace}-servers"}
            }
        }
        settings: dict[str, object] = {
            "externalDatabase.host": hosts["postgres"],
            "externalDatabase.port": 5432,
            "externalDatabase.migration.host": hosts["postgres"],
            "externalDatabase.tls": {"mode": "prefer", "caConfigMap": ""},
            "externalRedis.tls": {"enabled": False, "caConfigMap": ""},
            "externalRedis.host": hosts["redis"],
            "networkPolicy.database.to": [there],
            "networkPolicy.redis.to": [there],
            "replicaCount": REPLICAS,
            # Resources that only that cluster has.
            "image.digest": "",
            "image.pullSecrets": [],
            "priorityClassName": "",
        }
        found = Release(namespace, settings, values=VALUES)
        found.install()
        yield found


def test_empty_database_is_migrated_once_for_four_pods(external: Release) -> None:
    (job,) = external.migrations()
    assert (job["status"]["succeeded"], job["status"].get("failed", 0)) == (1, 0)
    logs = [_gate(external, pod["metadata"]["name"]) for pod in external.pods()]
    assert len(logs) == REPLICAS
    assert all("the database is at revision" in log for log in logs)


def _gate(release: Release, pod: str) -> str:
    return release.cluster.logs(pod, "gate")


def test_no_server_is_bundled_and_no_secret_generated(external: Release) -> None:
    kinds = {name.partition("/")[0] for name in external.cluster.everything()}
    assert not kinds & {"StatefulSet", "PersistentVolumeClaim"}
    held = {name for name in external.cluster.everything() if name.startswith("Secret/")}
    assert {name for name in held if "/sh.helm." not in name} == {
        "Secret/shop-signing",
        "Secret/shop-database",
        "Secret/shop-database-owner",
        "Secret/shop-redis",
    }


def test_service_works_with_external_servers(external: Release) -> None:
    with load(external, external.key()) as running:
        external.cluster.kubectl("rollout", "restart", f"deployment/{NAME}")
        external.wait_rolled_out()
        saw = running.stop()
    saw.assert_none_failed()


def test_uninstall_keeps_external_servers_and_secrets(external: Release) -> None:
    brought = {f"Secret/shop-{name}" for name in ("signing", "database", "database-owner", "redis")}
    external.uninstall()
    wait_until("nothing else is left", lambda: external.cluster.everything() == brought, seconds=90)
