"""Backups by the chart's CronJobs, and a restore after the volume of the database is lost."""

import base64
import re
import secrets
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.cluster.calls import RESOURCES
from tests.cluster.cluster import Cluster, wait_until
from tests.cluster.release import NAME, Release
from tests.cluster.servers import secret

CLAIM, KEYS = "backups", "backup-keys"
BACKUP = ("--set", f"backup.enabled=true,backup.existingClaim={CLAIM},backup.existingSecret={KEYS}")
RESTORE = (*BACKUP, "--set", "backup.restore=latest")
VOLUME = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": CLAIM},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}},
}
NAME_OF_BACKUP = r"\b\d{8}T\d{6}Z-[0-9a-f]{8}\b"
RUNS = "SELECT string_agg(kind || ' ' || ok, ', ' ORDER BY ended_at) FROM backup_run"


@pytest.fixture(scope="module", autouse=True)
def enabled(release: Release, cluster: Cluster) -> Iterator[None]:
    """Backups on a volume, sealed by a key."""
    cluster.create(VOLUME)
    cluster.create(secret(KEYS, "key", base64.b64encode(secrets.token_bytes(32)).decode()))
    release.upgrade(*BACKUP)
    yield
    release.upgrade()
    cluster.delete("Secret", KEYS)
    cluster.delete("PersistentVolumeClaim", CLAIM)


def _rows(api: httpx2.Client, release: Release) -> dict[str, Any]:
    lists: dict[str, Any] = {one.path: api.get(f"/{one.path}").json()["items"] for one in RESOURCES}
    return {**lists, "history": release.sql("SELECT count(*) FROM row_history")}


def test_lost_volume_is_restored_from_a_backup_that_a_drill_has_proved(
    release: Release, cluster: Cluster, api: httpx2.Client
) -> None:
    before = _rows(api, release)
    backup = re.findall(NAME_OF_BACKUP, release.run_now("backup-create"))[-1]
    assert f"backup {backup} restores and serves" in release.run_now("backup-drill")
    assert release.sql(RUNS) == "create true, drill true"

    cluster.delete("StatefulSet", f"{NAME}-postgresql")
    cluster.delete("PersistentVolumeClaim", f"data-{NAME}-postgresql-0")
    release.upgrade(*RESTORE)
    wait_until("the service responds", lambda: api.get("/keys").status_code == 200, seconds=30)
    assert _rows(api, release) == before
