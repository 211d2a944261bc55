"""The name of the migration Job depends on its content."""

import pytest

from tests.chart.rendering import environment, objects, one, own, pods, profile


def _name(*arguments: str) -> str:
    name: str = one(own(*arguments), "Job")["metadata"]["name"]
    return name


def test_job_name_is_stable() -> None:
    first = _name()
    own.cache_clear()
    assert _name() == first


@pytest.mark.parametrize(
    "change",
    [
        "image.tag=9.9.9",
        "migration.wait=100",
        "resources.limits.memory=1Gi",
        "config.database.lock_timeout=9",
    ],
)
def test_changed_migration_changes_the_job_name(change: str) -> None:
    assert _name("--set", change) != _name()


@pytest.mark.parametrize(
    "change",
    ["drain=9", "replicaCount=6", "config.rate_limit.requests=9", "redis.enabled=false", "service.port=81"],
)
def test_unrelated_values_keep_the_job_name(change: str) -> None:
    assert _name("--set", change) == _name()


def test_migration_job_can_be_disabled() -> None:
    assert "kind: Job" not in own(*profile("03-single-values.yaml"))


def test_job_gets_only_database_settings() -> None:
    (container,) = one(own(), "Job")["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["migrate", "--wait", "300"]
    groups = {name.removeprefix("SLIPWAY_").split("__")[0] for name in environment(container)}
    assert groups == {"SECRETS_DIR", "APP", "DATABASE", "LOGGING"}


def test_job_bypasses_the_pooler() -> None:
    text = own(*profile("02-external-values.yaml"))
    (job,) = (environment(pod["containers"][0]) for name, pod in pods(text).items() if "-migrate-" in name)
    server = environment(one(text, "Deployment")["spec"]["template"]["spec"]["containers"][0])
    assert (job["SLIPWAY_DATABASE__HOST"], job["SLIPWAY_DATABASE__PORT"]) == (
        "postgres-1.example.com,postgres-2.example.com",
        "5432",
    )
    assert server["SLIPWAY_DATABASE__PORT"] == "6432"
    assert server["SLIPWAY_DATABASE__PGBOUNCER"] == "true"
    assert "SLIPWAY_DATABASE__PGBOUNCER" not in job
    jobs = next(x for x in objects(text) if x["metadata"]["name"].endswith("-jobs"))
    ports = [port["port"] for rule in jobs["spec"]["egress"] for port in rule["ports"]]
    assert ports == [53, 53, 6432, 5432]


def test_job_has_a_deadline_and_no_restarts() -> None:
    spec = one(own(), "Job")["spec"]
    assert spec["activeDeadlineSeconds"] > 0
    assert spec["ttlSecondsAfterFinished"] > 0
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_job_logs_in_as_the_owner_and_creates_the_app_role() -> None:
    found = pods(own())
    (job,) = (pod for name, pod in found.items() if name.startswith("Job/"))
    (container,) = job["containers"]
    assert environment(container)["SLIPWAY_DATABASE__USER"] == "slipway"
    assert environment(container)["SLIPWAY_DATABASE__APP_ROLE"] == "slipway_app"
    others = [
        container
        for name, pod in found.items()
        if not name.startswith(("Job/", "Pod/"))
        for container in [*pod.get("initContainers", []), *pod["containers"]]
    ]
    assert [container["name"] for container in others] == ["gate", "server", "purge"]
    for container in others:
        assert environment(container)["SLIPWAY_DATABASE__USER"] == "slipway_app", container["name"]
        assert "SLIPWAY_DATABASE__APP_ROLE" not in environment(container), container["name"]


def test_external_database_may_have_a_separate_migration_role() -> None:
    found = pods(own(*profile("02-external-values.yaml")))
    (container,) = next(pod for name, pod in found.items() if name.startswith("Job/"))["containers"]
    assert environment(container)["SLIPWAY_DATABASE__USER"] == "shop_owner"
    assert environment(container)["SLIPWAY_DATABASE__APP_ROLE"] == "shop_app"
    (server,) = found["Deployment/slipway"]["containers"]
    assert environment(server)["SLIPWAY_DATABASE__USER"] == "shop_app"
    (container,) = one(own(*profile("04-ha-values.yaml")), "Job")["spec"]["template"]["spec"]["containers"]
    assert "SLIPWAY_DATABASE__APP_ROLE" not in environment(container)


def test_network_policy_of_the_hook_exists_before_the_job() -> None:
    text = own(*profile("04-ha-values.yaml"))
    policy = one(text, "NetworkPolicy", "slipway-migration")
    assert policy["metadata"]["annotations"] == {
        "helm.sh/hook": "pre-install,pre-upgrade",
        "helm.sh/hook-weight": "-5",
        "helm.sh/hook-delete-policy": "before-hook-creation",
    }
    labels = one(text, "Job")["spec"]["template"]["metadata"]["labels"].items()
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels
    assert policy["spec"]["egress"] == one(text, "NetworkPolicy", "slipway-jobs")["spec"]["egress"]
    assert [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]] == [53, 53, 5432]
    assert "slipway-migration" not in own(
        *profile("04-ha-values.yaml"), "--set", "networkPolicy.enabled=false"
    )


def test_hook_job_needs_no_other_object_of_the_release() -> None:
    text = own(*profile("04-ha-values.yaml"))
    job = one(text, "Job")
    assert job["metadata"]["annotations"] == {
        "helm.sh/hook": "pre-install,pre-upgrade",
        "helm.sh/hook-delete-policy": "before-hook-creation",
    }
    pod = job["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "default"
    made = {found["metadata"]["name"] for found in objects(text) if found["kind"] in {"Secret", "ConfigMap"}}
    sources = [
        source for volume in pod["volumes"] for source in volume.get("projected", {}).get("sources", [])
    ]
    needed = {named["name"] for source in sources for named in source.values()}
    assert needed
    assert not needed & made
