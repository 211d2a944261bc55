"""NetworkPolicies in a cluster that enforces them: only the listed connections work."""

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.networks import Enforced, Probe, pod_address, settles
from tests.cluster.release import NAME, Release

POSTGRESQL, REDIS, PUBLIC = f"{NAME}-postgresql:5432", f"{NAME}-redis:6379", f"{NAME}:80"
API_SERVER = "kubernetes.default.svc:443"
SERVER = f"deploy/{NAME}"


@pytest.fixture
def addresses(release: Release, cluster: Cluster) -> dict[str, str]:
    """Return the listening ports of the release, by pod address, so that no DNS is needed."""
    server = release.pods()[0]["metadata"]["name"]
    return {
        "public": pod_address(cluster, server, 8000),
        "admin": pod_address(cluster, server, 9000),
        "postgresql": pod_address(cluster, f"{NAME}-postgresql-0", 5432),
        "redis": pod_address(cluster, f"{NAME}-redis-0", 6379),
    }


def _labels(component: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": NAME,
        "app.kubernetes.io/instance": NAME,
        "app.kubernetes.io/component": component,
    }


@pytest.mark.usefixtures("enforced")
def test_unknown_pod_reaches_only_the_public_port(
    addresses: dict[str, str], cluster: Cluster, probe: Probe
) -> None:
    with probe(cluster, "stranger") as stranger:
        settles(stranger, {PUBLIC: True, POSTGRESQL: False, REDIS: False, f"{NAME}-admin:9000": False})
        settles(stranger, {address: name == "public" for name, address in addresses.items()})


def test_pod_of_another_namespace_reaches_only_the_public_port(
    addresses: dict[str, str], enforced: Enforced
) -> None:
    settles(enforced.client, {address: name == "public" for name, address in addresses.items()})


@pytest.mark.usefixtures("enforced")
def test_prometheus_reaches_only_the_admin_port(
    addresses: dict[str, str], cluster: Cluster, probe: Probe
) -> None:
    with probe(cluster, "watcher", {"app.kubernetes.io/name": "prometheus"}) as watcher:
        open_to_it = {"public", "admin"}
        settles(watcher, {address: name in open_to_it for name, address in addresses.items()})


def test_service_reaches_only_dns_and_its_servers(
    release: Release, cluster: Cluster, enforced: Enforced, probe: Probe
) -> None:
    settles(enforced.client, {API_SERVER: True, enforced.listener: True})
    expected = {POSTGRESQL: True, REDIS: True, API_SERVER: False, enforced.listener: False}
    settles((cluster, SERVER, "server"), expected)
    with probe(cluster, "other", _labels("server")) as other:
        settles(other, expected)


@pytest.mark.usefixtures("enforced")
@pytest.mark.parametrize("component", ["migration", "purge"])
def test_job_reaches_only_dns_and_the_database(
    component: str, addresses: dict[str, str], cluster: Cluster, probe: Probe
) -> None:
    with probe(cluster, component, _labels(component)) as job:
        settles(job, {POSTGRESQL: True, REDIS: False, PUBLIC: False, API_SERVER: False})
        settles(job, {address: name == "postgresql" for name, address in addresses.items()})


@pytest.mark.usefixtures("enforced")
def test_helm_test_pod_reaches_both_ports_and_no_server(
    addresses: dict[str, str], cluster: Cluster, probe: Probe
) -> None:
    with probe(cluster, "asks", _labels("test")) as asks:
        settles(asks, {address: name in {"public", "admin"} for name, address in addresses.items()})


def test_database_has_no_egress(addresses: dict[str, str], cluster: Cluster, enforced: Enforced) -> None:
    def reached(address: str) -> bool:
        host, port = address.rsplit(":", 1)
        script = f"timeout 3 bash -c '</dev/tcp/{host}/{port}' 2>/dev/null && echo reached || echo not"
        return cluster.exec(f"{NAME}-postgresql-0", "sh", "-c", script, container="postgresql") == "reached\n"

    # It can reach its own port: policies do not apply to loopback.
    assert reached("127.0.0.1:5432")
    for address in (addresses["public"], addresses["redis"], enforced.listener):
        assert not reached(address), address


def test_purge_job_succeeds_under_its_network_policy(release: Release, cluster: Cluster) -> None:
    cluster.delete("Job", "purge-now")
    cluster.kubectl("create", "job", "purge-now", f"--from=cronjob/{NAME}-purge")
    try:
        cluster.kubectl("wait", "--for=condition=Complete", "job/purge-now", "--timeout=80s")
        assert "expired idempotency records deleted" in cluster.kubectl("logs", "job/purge-now")
    finally:
        cluster.delete("Job", "purge-now")
