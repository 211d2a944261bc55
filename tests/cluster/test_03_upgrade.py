"""Upgrades: the same values change nothing, and other values change only what they concern."""

from tests.cluster.release import Release


def _uids(objects: list[dict[str, dict[str, str]]]) -> set[str]:
    return {found["metadata"]["uid"] for found in objects}


def test_an_upgrade_with_the_same_values_runs_no_migration_and_keeps_secret_and_pods(
    release: Release,
) -> None:
    migrations, secrets, pods = _uids(release.migrations()), release.credentials(), _uids(release.pods())
    generation = release.deployment()["metadata"]["generation"]

    release.upgrade()

    assert _uids(release.migrations()) == migrations
    assert release.credentials() == secrets
    assert _uids(release.pods()) == pods
    assert release.deployment()["metadata"]["generation"] == generation


def test_an_upgrade_that_changes_the_migration_runs_a_new_one_and_removes_the_old(release: Release) -> None:
    (before,), pods = release.migrations(), _uids(release.pods())

    release.upgrade("--set", "migration.ttl=86400")

    (after,) = release.migrations()
    assert after["metadata"]["name"] != before["metadata"]["name"]
    assert after["status"]["succeeded"] == 1
    assert _uids(release.pods()) == pods
