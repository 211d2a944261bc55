"""What an uninstall leaves is what NOTES say, and it is enough to come back."""

from tests.cluster.cluster import Cluster, wait_until
from tests.cluster.release import NAME, Release

KEPT = {f"Secret/{NAME}-credentials", f"PersistentVolumeClaim/data-{NAME}-postgresql-0"}


def test_an_uninstall_leaves_the_secret_and_the_volume_and_a_new_install_finds_the_data(
    release: Release, cluster: Cluster
) -> None:
    products = release.sql("SELECT count(*) FROM product")
    secrets = release.credentials()

    release.uninstall()
    wait_until("only what NOTES say is left", lambda: cluster.everything() == KEPT, seconds=120)
    assert release.credentials() == secrets

    release.install()
    assert release.sql("SELECT count(*) FROM product") == products
    assert release.credentials() == secrets

    release.remove()
    wait_until("nothing is left", lambda: not cluster.everything(), seconds=120)
