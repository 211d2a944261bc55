"""The diagnosis of a failure in an additional namespace, which no longer exists when it is read."""

import pytest

from tests.cluster import diagnosis
from tests.cluster.cluster import Cluster, wait_until
from tests.cluster.loading import plain_pod
from tests.cluster.namespaces import additional_namespace


def _ended(cluster: Cluster) -> bool:
    return bool(cluster.get("Pod", "broken")["status"]["phase"] == "Failed")


def _install_what_fails(cluster: Cluster) -> None:
    with additional_namespace(cluster, "broken") as namespace:
        namespace.create(plain_pod("broken", cluster.image, "sh", "-c", "echo it is the disk; exit 7"))
        wait_until("it has failed", lambda: _ended(namespace), seconds=60)
        # The output of a test that fails while the namespace exists.
        assert "it is the disk" in diagnosis.report(cluster)
        raise AssertionError("the installation has failed")


def test_failed_installation_is_diagnosed_in_its_namespace(cluster: Cluster) -> None:
    with pytest.raises(AssertionError, match="the installation has failed") as raised:
        _install_what_fails(cluster)
    (told,) = raised.value.__notes__
    assert f"=== namespace {cluster.namespace}-broken" in told
    assert "pod broken: Failed" in told
    assert "'exitCode': 7" in told
    assert "it is the disk" in told
    assert cluster.others == []
