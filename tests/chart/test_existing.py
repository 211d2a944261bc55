"""What an upgrade finds in the cluster: Secrets, volumes and a failed migration."""

import base64
import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chart.api_server import ApiServer, api_server
from tests.chart.rendering import Object, objects, one, template, whole

USED = ("StatefulSet", "Deployment", "Job", "Secret")
BEFORE, AFTER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z"


@pytest.fixture(scope="module")
def installed() -> list[Object]:
    """The objects of a release, as an API server has them."""
    found = [o for o in copy.deepcopy(objects(whole())) if o["kind"] in USED]
    for manifest in found:
        early = manifest["kind"] == "Secret"
        manifest["metadata"]["creationTimestamp"] = BEFORE if early else AFTER
    return found


@pytest.fixture
def cluster(installed: list[Object]) -> Iterator[ApiServer]:
    with api_server(*copy.deepcopy(installed)) as server:
        yield server


def _object(cluster: ApiServer, kind: str, name: str) -> Any:
    (found,) = (o for o in cluster.objects if (o["kind"], o["metadata"]["name"]) == (kind, name))
    return found


def _secret(cluster: ApiServer) -> Any:
    return _object(cluster, "Secret", "slipway-credentials")


def _rendered(cluster: ApiServer, *arguments: str, helm: str = "helm", whole: bool = False) -> str:
    done = cluster.render(*arguments, helm=helm, whole=whole)
    assert done.returncode == 0, done.stderr
    text: str = done.stdout
    return text


def _refused(cluster: ApiServer, *arguments: str) -> str:
    done = cluster.render(*arguments)
    assert done.returncode != 0
    return str(done.stderr)


def _job(text: str) -> str:
    (name,) = (o["metadata"]["name"] for o in objects(text) if o["kind"] == "Job")
    return str(name)


def _annotations(text: str, name: str) -> Any:
    return template(one(text, "StatefulSet", name))["metadata"].get("annotations") or {}


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_upgrade_without_changes_changes_nothing(cluster: ApiServer, helm: str) -> None:
    text = _rendered(cluster, helm=helm, whole=True)
    assert [o for o in objects(text) if o["kind"] in USED] == [
        {**o, "metadata": {k: v for k, v in o["metadata"].items() if k != "creationTimestamp"}}
        for o in cluster.objects
    ]


def test_secret_of_an_older_chart_restarts_nothing(cluster: ApiServer) -> None:
    before = _job(_rendered(cluster))
    annotations = _secret(cluster)["metadata"]["annotations"]
    for name in [name for name in annotations if name.startswith("checksum/")]:
        del annotations[name]
    text = _rendered(cluster, whole=True)
    assert _job(text) == before
    assert "checksum/password" not in _annotations(text, "slipway-redis")
    assert "checksum/redis-password" in one(text, "Secret", "slipway-credentials")["metadata"]["annotations"]


def test_lost_secret_is_refused_with_every_key_that_something_depends_on(cluster: ApiServer) -> None:
    cluster.objects.remove(_secret(cluster))
    said = _refused(cluster)
    assert "has no database-app-password, database-password, redis-password, secret-key, while " in said
    for user in ("Deployment slipway", "StatefulSet slipway-postgresql", "StatefulSet slipway-redis"):
        assert user in said
    assert "Restore the Secret from a copy" in said


def test_restoring_only_the_database_password_is_refused(cluster: ApiServer) -> None:
    kept = _secret(cluster)["data"]
    for key in set(kept) - {"database-password"}:
        del kept[key]
    assert "has no database-app-password, redis-password, secret-key, while Deployment" in _refused(cluster)


def test_key_that_came_from_another_secret_is_generated(cluster: ApiServer) -> None:
    """From `security.existingSecret` to a generated key: the old pods have a key of this name from another Secret."""
    del _secret(cluster)["data"]["secret-key"]
    pod = _object(cluster, "Deployment", "slipway")["spec"]["template"]["spec"]
    (secrets,) = (volume["projected"] for volume in pod["volumes"] if volume["name"] == "secrets")
    for source in secrets["sources"]:
        if source["secret"]["items"][0]["path"].startswith("security/"):
            source["secret"]["name"] = "mine"
    _rendered(cluster)


def test_volume_alone_needs_the_password_of_its_owner(cluster: ApiServer) -> None:
    cluster.objects[:] = [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data-slipway-postgresql-0"},
        }
    ]
    said = _refused(cluster)
    assert "has no database-password, while PersistentVolumeClaim data-slipway-postgresql-0 depends" in said


def test_new_passwords_reach_the_role_and_redis(cluster: ApiServer) -> None:
    """A changed password runs the migration again, which sets it, and restarts Redis. Then nothing changes again."""
    before = _job(_rendered(cluster))
    kept = _secret(cluster)["data"]
    kept["redis-password"] = base64.b64encode(b"rotated").decode()
    redis = _rendered(cluster, whole=True)
    assert _job(redis) == before
    assert _annotations(redis, "slipway-redis")["checksum/password"]
    assert not _annotations(redis, "slipway-postgresql")
    kept["database-app-password"] = base64.b64encode(b"rotated").decode()
    both = _job(_rendered(cluster))
    assert both != before
    assert _job(_rendered(cluster)) == both


def test_new_admin_key_runs_the_migration(cluster: ApiServer) -> None:
    """A Secret that comes after the release runs it too, so that the key is there."""
    named = ("--set", "security.adminKey.existingSecret=mine")
    jobs = [_job(_rendered(cluster, *named))]
    secret: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}}
    cluster.objects.append(secret)
    for key in (b"first", b"second"):
        secret["data"] = {"admin-key": base64.b64encode(key).decode()}
        jobs.append(_job(_rendered(cluster, *named)))
    assert len({*jobs, _job(_rendered(cluster))}) == 4
    assert _job(_rendered(cluster, *named)) == jobs[-1]


def test_restored_secret_with_new_passwords_reaches_the_role_and_redis(cluster: ApiServer) -> None:
    before = _job(_rendered(cluster))
    secret = _secret(cluster)
    secret["metadata"] |= {"creationTimestamp": "2026-02-01T00:00:00Z", "annotations": {}}
    secret["data"] = dict.fromkeys(secret["data"], base64.b64encode(b"made by hand").decode())
    after = _rendered(cluster, whole=True)
    assert _job(after) != before
    assert _annotations(after, "slipway-redis")["checksum/password"]
    secret["metadata"]["annotations"] = one(after, "Secret", "slipway-credentials")["metadata"]["annotations"]
    assert _job(_rendered(cluster)) == _job(after), "the upgrade after it changes nothing"


VOLUMES = {
    "postgresql.persistence.size=20Gi": "postgresql.persistence.size is 20Gi and was 8Gi, which StatefulSet ",
    "postgresql.persistence.storageClass=fast": "postgresql.persistence.storageClass is fast and was the default",
    "postgresql.persistence.accessModes[0]=ReadWriteMany": "access modes in postgresql.persistence are ReadWrite",
    "postgresql.persistence.enabled=false": "postgresql.persistence would remove the volume claim",
    "postgresql.persistence.existingClaim=mine": "postgresql.persistence would remove the volume claim",
    "redis.persistence.enabled=true": "redis.persistence would add the volume claim, which StatefulSet slipway-r",
}


@pytest.mark.parametrize("value", VOLUMES)
def test_change_of_a_volume_is_refused_before_anything_is_sent(cluster: ApiServer, value: str) -> None:
    said = _refused(cluster, "--set", value)
    assert VOLUMES[value] in said
    assert "follow docs/kubernetes.md (Changing a volume)" in said


def test_same_size_in_another_unit_is_accepted(cluster: ApiServer) -> None:
    _rendered(cluster, "--set", "postgresql.persistence.size=8192Mi")


def test_failed_migration_runs_again_under_another_name(cluster: ApiServer) -> None:
    first = _job(_rendered(cluster))
    job = _object(cluster, "Job", first)
    job["status"] = {"conditions": [{"type": "Failed", "status": "True"}]}
    second = _job(_rendered(cluster))
    assert second != first
    done = {**job, "metadata": {**job["metadata"], "name": second}, "status": {}}
    cluster.objects[:] = [o for o in cluster.objects if o is not job] + [done]
    assert _job(_rendered(cluster)) == second, "a retry that succeeded stays"


def test_configuration_restarts_postgresql_only_if_it_is_not_the_default() -> None:
    assert "checksum/config" not in _annotations(whole(), "slipway-postgresql")
    sums = {
        _annotations(whole("--set", f"postgresql.{value}"), "slipway-postgresql")["checksum/config"]
        for value in ("config.postgresql.max_connections=200", "config.extraConfig[0]=jit=off")
    }
    assert len(sums) == 2


def test_new_major_version_of_postgresql_is_refused(cluster: ApiServer) -> None:
    """While the server exists, and when only its volume and the generated Secret are left."""
    _rendered(cluster, "--set-string", "postgresql.image.tag=18.999")
    told = "PersistentVolumeClaim data-slipway-postgresql-0 has data of PostgreSQL 18, which another major version"
    assert told in _refused(cluster, "--set-string", "postgresql.image.tag=19")
    cluster.objects[:] = [
        _secret(cluster),
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data-slipway-postgresql-0"},
        },
    ]
    assert told in _refused(cluster, "--set-string", "postgresql.image.tag=19")
    del cluster.objects[1]
    _rendered(cluster, "--set-string", "postgresql.image.tag=19")


def test_name_that_an_earlier_chart_cut_is_kept_by_an_override(cluster: ApiServer) -> None:
    long = "a-service-with-a-name-longer-than-forty-characters"
    annotations = {"meta.helm.sh/release-name": "slipway"}
    metadata = {"name": long[:39], "annotations": annotations}  # cut at a dash, which goes too
    cluster.objects[:] = [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {}}]
    said = _refused(cluster, "--set", f"fullnameOverride={long}")
    assert f"are called {long[:39]}, as an earlier version" in said
    assert f"Set fullnameOverride={long[:39]} to keep the name." in said
    _rendered(cluster, "--set", f"fullnameOverride={long[:39]}")
    annotations["meta.helm.sh/release-name"] = "another"
    _rendered(cluster, "--set", f"fullnameOverride={long}")


def test_restore_job_that_would_change_is_refused(cluster: ApiServer) -> None:
    restore = ("--set", "backup.enabled=true,backup.existingClaim=backups,backup.restore=latest")
    cluster.objects.append(
        next(o for o in objects(_rendered(cluster, *restore)) if "-restore-" in o["metadata"]["name"])
    )
    _rendered(cluster, *restore)
    told = (
        'backup.restore is still "latest", and Job slipway-restore-5e1e2bcac3, which has run, cannot change'
    )
    assert told in _refused(cluster, *restore, "--set", "resources.limits.memory=1Gi")
