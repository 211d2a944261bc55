"""Upgrade from the previous version and rollback under load: no request fails, and nothing is lost."""

from collections.abc import Iterator

import pytest

from service.migrations.branches import DOMAINS, head
from tests.authorization.samples import Json
from tests.cluster.calls import subject
from tests.cluster.cluster import ROOT, Cluster
from tests.cluster.loading import load
from tests.cluster.namespaces import additional_namespace
from tests.cluster.release import Release

CHART = ".local/previous/chart"


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[Cluster]:
    if not cluster.previous or not (ROOT / CHART).is_dir():
        pytest.skip("`make cluster-up` found no previous version in this copy of the history")
    with additional_namespace(cluster, "previous") as found:
        yield found


@pytest.fixture(scope="module")
def previous(namespace: Cluster) -> Release:
    """The previous version, installed."""
    # It accepts requests before it has connections, and this is the longest wait.
    found = Release(namespace, {"config.database.acquire_timeout": 5}, chart=CHART, image=namespace.previous)
    found.install()
    return found


def _revision(release: Release) -> str:
    return release.sql("SELECT version_num FROM alembic_version")


def test_upgrade_and_rollback_keep_data_and_drop_no_request(namespace: Cluster, previous: Release) -> None:
    present = Release(namespace)
    key, passwords, schema = previous.key(), previous.credentials(), _revision(previous)
    document = previous.document  # both versions have what it describes
    before = _rows(previous, document)
    servers = {name: _uid(namespace, name) for name in ("slipway-postgresql-0", "slipway-redis-0")}

    with load(previous, key, document=document) as running:
        present.upgrade()
        present.wait_rolled_out()
        upgraded = running.stop()

    upgraded.assert_as_promised()
    assert _revision(present) > schema
    assert present.sql("SELECT version_num FROM alembic_version_domains") == head(DOMAINS)
    assert _image(present) == namespace.image
    assert passwords.items() <= present.credentials().items()
    assert {name: _uid(namespace, name) for name in servers} == servers

    with load(present, key, document=document) as running:
        present.rollback(1)
        present.wait_rolled_out()
        back = running.stop()

    back.assert_as_promised()
    assert _image(present) == namespace.previous
    # The schema stays: the previous version works with additions.
    assert _revision(present) > schema
    written = upgraded.seen.get("201", 0) + back.seen.get("201", 0)
    assert _rows(present, document) == before + written


def _rows(release: Release, document: Json) -> int:
    """Count the rows that the load writes."""
    resource = subject(document)
    return int(release.sql(f'SELECT count(*) FROM "{resource.table.name}"')) if resource else 0


def _uid(cluster: Cluster, pod: str) -> str:
    return str(cluster.get("Pod", pod)["metadata"]["uid"])


def _image(release: Release) -> str:
    (image,) = {container["image"] for pod in release.pods() for container in pod["spec"]["containers"]}
    return str(image).removeprefix("docker.io/library/")
