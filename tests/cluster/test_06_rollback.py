"""Changes that cannot work are refused before they are sent, or rolled back while the old pods serve."""

import pytest

from tests.cluster.loading import load
from tests.cluster.release import Release


def _uids(release: Release) -> set[str]:
    return {pod["metadata"]["uid"] for pod in release.pods()}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("redis.architecture=replication",), "the service uses a single Redis"),
        (("postgresql.enabled=false",), "the service has no database"),
        (("ingress.enabled=true",), "an Ingress without a host would serve every host name"),
        (("autoscaling.enabled=true", "keda.enabled=true"), "two autoscalers would work against each other"),
        (("config.server.port=81",), r"config.server.port is set by the chart \(SLIPWAY_SERVER__PORT\)"),
        (("image.tag=latest",), "this tag moves"),
        (("replicaCount=two",), "got string, want null or integer"),
        (("replicas=3",), "additional properties 'replicas' not allowed"),
    ],
)
def test_invalid_values_are_refused_and_change_nothing(
    release: Release, settings: tuple[str, ...], words: str
) -> None:
    revision = release.revision()
    wrong = [argument for setting in settings for argument in ("--set", setting)]
    with pytest.raises(AssertionError, match=words):
        release.upgrade(*wrong)
    assert release.revision() == revision


def test_rollback_of_a_broken_version_drops_no_request(release: Release, key: str) -> None:
    good, pods = release.revision(), _uids(release)
    # The service refuses to start with it, so the new pod never becomes ready.
    broken = ("--set", "config.security.anonymous=write", "--timeout", "20s")
    with load(release, key) as running:
        with pytest.raises(AssertionError, match=r"(context deadline exceeded|timed out|not ready)"):
            release.upgrade("--reuse-values", *broken)
        assert pods < _uids(release)
        release.rollback(good)
        release.wait_rolled_out()
        saw = running.stop()

    saw.assert_none_failed()
    assert _uids(release) == pods
