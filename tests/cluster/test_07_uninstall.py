"""An uninstall leaves what the NOTES say, which is enough to reinstall."""

import pytest

from tests.cluster.cluster import Cluster, wait_until
from tests.cluster.release import NAME, Release

KEPT = {f"Secret/{NAME}-credentials", f"PersistentVolumeClaim/data-{NAME}-postgresql-0"}


def test_reinstall_after_uninstall_finds_the_data(release: Release, cluster: Cluster) -> None:
    keys = release.sql("SELECT count(*) FROM api_key")
    secrets = release.credentials()

    release.uninstall()
    wait_until("only what NOTES say is left", lambda: cluster.everything() == KEPT, seconds=120)
    assert release.credentials() == secrets
    _refused_without_its_passwords(release, cluster)

    release.install()
    assert release.sql("SELECT count(*) FROM api_key") == keys
    assert release.credentials() == secrets

    release.remove()
    wait_until("nothing is left", lambda: not cluster.everything(), seconds=120)


def _refused_without_its_passwords(release: Release, cluster: Cluster) -> None:
    """If the password of a volume is lost, the chart refuses to generate another, and creates nothing."""
    kept = cluster.get("Secret", f"{NAME}-credentials")
    cluster.delete("Secret", f"{NAME}-credentials")
    claim = f"has no database-password, while PersistentVolumeClaim data-{NAME}-postgresql-0 depends on it"
    with pytest.raises(AssertionError, match=claim):
        release.install()
    assert cluster.everything() == {f"PersistentVolumeClaim/data-{NAME}-postgresql-0"}
    # Restored, as the message says.
    named = {name: kept["metadata"][name] for name in ("name", "labels", "annotations")}
    cluster.create(
        {name: kept[name] for name in ("apiVersion", "kind", "type", "data")} | {"metadata": named}
    )
