"""Upgrades: the same values change nothing, and other values change only what they concern."""

from tests.cluster.release import Release


def _uids(objects: list[dict[str, dict[str, str]]]) -> set[str]:
    return {found["metadata"]["uid"] for found in objects}


def test_upgrade_with_the_same_values_changes_nothing(
    release: Release,
) -> None:
    migrations, secrets, pods = _uids(release.migrations()), release.credentials(), _uids(release.pods())
    generation = release.deployment()["metadata"]["generation"]

    release.upgrade()

    assert _uids(release.migrations()) == migrations
    assert release.credentials() == secrets
    assert _uids(release.pods()) == pods
    assert release.deployment()["metadata"]["generation"] == generation


def test_upgrade_with_a_changed_migration_replaces_the_job(release: Release) -> None:
    (before,), pods = release.migrations(), _uids(release.pods())

    release.upgrade("--set", "migration.ttl=86400")

    (after,) = release.migrations()
    assert after["metadata"]["name"] != before["metadata"]["name"]
    assert after["status"]["succeeded"] == 1
    assert _uids(release.pods()) == pods
