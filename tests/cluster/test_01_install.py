"""A fresh installation is ready, migrated, and allowed by the namespace's Pod Security."""

import json
import re

import pytest
from kubernetes.client import ApiException

from tests.cluster.cluster import ROOT, Cluster, Object
from tests.cluster.release import NAME, Release


def test_pods_are_ready(release: Release) -> None:
    deployment = release.deployment()
    assert deployment["status"]["readyReplicas"] == deployment["spec"]["replicas"] == 2
    assert len(release.pods()) == 2


def test_migration_ran_once_and_completed(release: Release) -> None:
    (job,) = release.migrations()
    assert job["status"]["succeeded"] == 1
    assert {"type": "Complete", "status": "True"}.items() <= job["status"]["conditions"][-1].items()
    assert release.sql("SELECT count(*) FROM alembic_version, alembic_version_domains") == "1"


def test_notes_show_the_first_steps(installation: str) -> None:
    assert "slipway keys create --name admin --scope admin" in installation
    assert "http://127.0.0.1:8000/docs" in installation
    assert f"secret/{NAME}-credentials" in installation
    assert f"persistentvolumeclaim/data-{NAME}-postgresql-0" in installation


def test_passwords_come_from_one_secret_as_files(release: Release, cluster: Cluster) -> None:
    assert set(release.credentials()) == {
        "database-password",
        "redis-password",
        "database-app-password",
        "secret-key",
    }
    environment = cluster.exec(f"deploy/{NAME}", "env", container="server")
    assert "PASSWORD" not in environment
    assert "SECRET_KEY" not in environment


@pytest.mark.parametrize("name", ["database/password", "redis/password", "security/secret_key"])
def test_secret_files_are_readable_only_by_the_service(release: Release, cluster: Cluster, name: str) -> None:
    path = f"/run/secrets/slipway/{name}"
    probe = (
        f"import os; s = os.stat({path!r}); print(oct(s.st_mode)[-3:], s.st_gid, len(open({path!r}).read()))"
    )
    assert cluster.exec(f"deploy/{NAME}", "python", "-c", probe, container="server").split() == [
        "440",
        "10001",
        "48",
    ]


def _pod(name: str, **security: object) -> Object:
    container = {"name": "x", "image": "busybox", "command": ["true"], "securityContext": security}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], "restartPolicy": "Never"},
    }


def test_namespace_refuses_unrestricted_pods(release: Release, cluster: Cluster) -> None:
    restricted = {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    cluster.create(_pod("fine", **restricted), dry_run=True)
    for wrong in ({}, {**restricted, "runAsNonRoot": False}, {"privileged": True}):
        with pytest.raises(ApiException, match=r'violates PodSecurity .*"restricted'):
            cluster.create(_pod("refused", **wrong), dry_run=True)


def test_process_has_minimal_privileges(release: Release, cluster: Cluster) -> None:
    script = """
import os, pathlib
print(os.getuid() > 10000, os.getgid() > 10000)
print(pathlib.Path("/var/run/secrets/kubernetes.io").exists())
for folder in ("/", "/opt/slipway", "/home", "/tmp"):
    try:
        pathlib.Path(folder, "probe").write_text("x")
        print(folder, "written")
    except OSError as error:
        print(folder, error.strerror)
print([line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "NoNewPrivs"))])
"""
    assert cluster.exec(f"deploy/{NAME}", "python", "-c", script, container="server").splitlines() == [
        "True True",
        "False",
        "/ Read-only file system",
        "/opt/slipway Read-only file system",
        "/home Read-only file system",
        "/tmp written",
        "['0000000000000000', '1']",
    ]


def test_image_has_only_locked_packages_and_no_build_tools(release: Release, cluster: Cluster) -> None:
    script = """
import importlib.metadata, importlib.util, json, shutil
names = {f"{d.name}=={d.version}".lower() for d in importlib.metadata.distributions()}
tools = [t for t in ("pip", "pip3", "uv", "apt", "apt-get", "gcc", "cc", "make", "git", "pytest") if shutil.which(t)]
tools += [m for m in ("pip", "ensurepip") if importlib.util.find_spec(m)]
print(json.dumps({"packages": sorted(names), "tools": tools}))
"""
    found = json.loads(cluster.exec(f"deploy/{NAME}", "python", "-c", script, container="server"))
    locks = (ROOT / "requirements.txt").read_text("utf-8")
    locked = {name.lower() for name in re.findall(r"^[\w.-]+==[\w.]+", locks, re.MULTILINE)}
    beyond = {name.replace("_", "-") for name in found["packages"]} - locked
    assert {name.partition("==")[0] for name in beyond} == {"slipway"}
    assert found["tools"] == []
