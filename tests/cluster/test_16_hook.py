"""A database that requires TLS, as in docs/kubernetes.md, migrated by a Helm hook, and later behind PgBouncer."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import pooler, servers
from tests.cluster.cluster import Cluster, Object, wait_until
from tests.cluster.commands import BLOCK, DOCS, lines
from tests.cluster.loading import load
from tests.cluster.namespaces import additional_namespace
from tests.cluster.release import NAME, SERVER, Release
from tests.readme.markdown import section
from tests.tls.terminator import Authority

PAGE = (DOCS / "kubernetes.md").read_text("utf-8")
BLOCKS = dict(BLOCK.findall(section(PAGE, "An external database over TLS")))
SECOND = "shop_second"
REPLICAS = 1
REFUSED = "certificate verify failed"
CREDENTIALS = f"Secret/{NAME}-credentials"  # has the password of the bundled Redis


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the page uses."""
    found = tmp_path_factory.mktemp("hook")
    (found / "values.yaml").write_text(BLOCKS["yaml"], "utf-8")
    for file in ("app.txt", "owner.txt"):
        (found / file).write_text(f"{servers.PASSWORD}\n", "utf-8")
    (found / "signing.txt").write_text("k" * 32, "utf-8")
    return found


def _authority(folder: Path) -> Authority:
    folder.mkdir()
    return Authority(folder)


@pytest.fixture(scope="module")
def known(folder: Path) -> Authority:
    found = _authority(folder / "known")
    (folder / "ca.crt").write_bytes(found.root.read_bytes())
    return found


@pytest.fixture(scope="module")
def namespace(cluster: Cluster, folder: Path, known: Authority) -> Iterator[Cluster]:
    """A namespace with the running database and the Secrets that the page requires."""
    with additional_namespace(cluster, "hook") as found:
        pooler.install_postgres(found, known)
        for command in lines(BLOCKS[""]):
            _type(found, folder, command)
        yield found


def _type(cluster: Cluster, folder: Path, command: str) -> None:
    """Run a command of the page in that namespace, with those files."""
    words = re.sub(r"(?<==)([a-z]+\.(?:crt|txt))$", rf"{folder}/\1", command).split()
    assert words[:3] == ["kubectl", "-n", "slipway"]
    cluster.kubectl(*words[3:])


def _release(cluster: Cluster, folder: Path, **more: object) -> Release:
    settings: dict[str, object] = {
        "externalDatabase.host": servers.host(cluster, "postgres"),
        "replicaCount": REPLICAS,
        "drain": 1,
        "migration.wait": 60,
    }
    return Release(cluster, settings | more, values=str(folder / "values.yaml"))


@pytest.fixture(scope="module")
def hooked(namespace: Cluster, folder: Path) -> Release:
    found = _release(namespace, folder)
    found.install()
    return found


def _succeeded(release: Release) -> list[str]:
    """Return when each migration ended. Raises `AssertionError` if one is running or failed."""
    jobs = [job["status"] for job in release.migrations()]
    assert all((job.get("succeeded"), job.get("failed", 0)) == (1, 0) for job in jobs), jobs
    return [job["completionTime"] for job in jobs]


def test_install_migrates_before_other_objects_exist(hooked: Release) -> None:
    (ended,) = _succeeded(hooked)
    deployment = hooked.deployment()
    assert ended <= deployment["metadata"]["creationTimestamp"]
    assert deployment["status"]["readyReplicas"] == REPLICAS


def test_service_and_migration_connect_with_tls(hooked: Release) -> None:
    sessions = servers.sql(
        hooked.cluster,
        "SELECT DISTINCT usename, ssl, version FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
        " WHERE backend_type = 'client backend' AND NOT client_addr <<= '127.0.0.0/8'",
    )
    assert sessions == [{"usename": servers.USER, "ssl": "t", "version": "TLSv1.3"}]
    came = [line for line in _log_of_postgres(hooked.cluster) if "connection authorized" in line]
    migration = [
        line for line in came if f"user={servers.OWNER}" in line and "application_name=slipway" in line
    ]
    assert migration
    assert all("SSL enabled (protocol=TLSv1.3" in line for line in migration)


def _log_of_postgres(cluster: Cluster) -> list[str]:
    return cluster.logs("shop-postgres-0", "postgres").splitlines()


def test_connections_without_tls_are_refused(hooked: Release) -> None:
    to = f"host={servers.host(hooked.cluster, 'postgres')} dbname={servers.DATABASE} user={servers.USER}"
    with pytest.raises(AssertionError, match="no encryption"):
        servers.psql(hooked.cluster, f"{to} password={servers.PASSWORD} sslmode=disable", "SELECT 1")


def test_upgrade_migrates_first_and_service_works_through_pgbouncer(
    hooked: Release, folder: Path, known: Authority
) -> None:
    cluster = hooked.cluster
    if not cluster.pooler:
        pytest.skip("`make cluster-up` could make no image of PgBouncer")
    host = pooler.install_pooler(cluster, known)
    servers.sql(cluster, f"CREATE DATABASE {SECOND} OWNER {servers.OWNER}")
    began = hooked.deployment()["metadata"]["generation"]
    through = _release(cluster, folder, **_through(cluster, host))

    through.upgrade()

    ended = _succeeded(through)
    assert len(ended) == 2
    assert through.deployment()["metadata"]["generation"] == began + 1
    through.wait_rolled_out()
    assert max(ended) <= min(pod["metadata"]["creationTimestamp"] for pod in through.pods())
    with load(through, through.key()) as running:
        clients = pooler.clients(cluster)
        saw = running.stop()
    saw.assert_none_failed()
    assert {(client["user"], client["database"]) for client in clients} == {(servers.USER, SECOND)}
    assert all(client["tls"].startswith("TLSv1.3") for client in clients), clients


def _through(cluster: Cluster, host: str) -> dict[str, object]:
    return {
        "externalDatabase.name": SECOND,
        "externalDatabase.host": host,
        "externalDatabase.port": pooler.PORT,
        "externalDatabase.migration.host": servers.host(cluster, "postgres"),
        "config.database.pgbouncer": True,
    }


def test_wrong_ca_stops_the_upgrade_before_new_pods(hooked: Release, folder: Path) -> None:
    cluster = hooked.cluster
    stranger = _authority(folder / "stranger")
    data = {"ca.crt": stranger.root.read_text("utf-8")}
    cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "strangers"}, "data": data})
    tls = {"externalDatabase.tls.caConfigMap": "strangers"}
    wrong = _release(cluster, folder, **tls, **{"migration.wait": 2, "migration.deadline": 15})
    before, finished = hooked.deployment()["metadata"]["generation"], len(_succeeded(hooked))

    with pytest.raises(AssertionError, match="pre-upgrade"):
        wrong.upgrade()

    (failed,) = [job for job in hooked.migrations() if job["status"].get("failed")]
    assert len(hooked.migrations()) == finished + 1
    assert REFUSED in _log_of_job(cluster, failed["metadata"]["name"])
    assert hooked.deployment()["metadata"]["generation"] == before

    # Without the hook, the same values stop at the gate of the first new pod.
    wrong.upgrade("--no-hooks", wait=False)
    wait_until("the gate says why", lambda: _refused_at_the_gate(cluster), seconds=60)
    status = hooked.deployment()["status"]
    assert (status["updatedReplicas"], status["readyReplicas"]) == (1, REPLICAS)  # the old pods


def _log_of_job(cluster: Cluster, job: str) -> str:
    return cluster.kubectl("logs", f"job/{job}")


def _new_pods(cluster: Cluster) -> list[Object]:
    """Return the pods that have not passed their gate."""
    return [
        pod
        for pod in cluster.list("Pod", labels=SERVER)
        for gate in pod["status"].get("initContainerStatuses", [])
        if not gate["ready"]
    ]


def _refused_at_the_gate(cluster: Cluster) -> bool:
    """Whether the log of a gate has the reason; after a restart, the log is empty for a moment."""
    gates = {pod["metadata"]["name"]: pod["status"]["initContainerStatuses"][0] for pod in _new_pods(cluster)}
    begun = [name for name, gate in gates.items() if gate["restartCount"] or "waiting" not in gate["state"]]
    return any(REFUSED in cluster.logs(name, "gate") for name in begun)


def test_uninstall_keeps_the_hook_jobs(hooked: Release, folder: Path) -> None:
    cluster = hooked.cluster
    jobs = {f"Job/{job['metadata']['name']}" for job in hooked.migrations()}
    hooked.uninstall()
    wait_until("nothing runs", lambda: not cluster.list("Pod", labels=SERVER), seconds=90)
    left = {name for name in _of_the_release(cluster) if not name.startswith("Pod/")}
    assert left == {*jobs, f"NetworkPolicy/{NAME}-migration", CREDENTIALS}

    *_, removal = (line for kind, block in BLOCK.findall(section(PAGE, "Uninstall")) for line in lines(block))
    assert "delete job,networkpolicy" in removal
    _type(cluster, folder, removal)
    wait_until("their pods are gone too", lambda: _of_the_release(cluster) == {CREDENTIALS}, seconds=60)


def _of_the_release(cluster: Cluster) -> set[str]:
    return {name for name in cluster.everything() if NAME in name}
