"""Security and configuration of every pod of the service."""

import pytest

from tests.chart.rendering import PROFILES, Object, containers, environment, one, own, pods, profile

everywhere = pytest.mark.parametrize("values", [None, *PROFILES])


@everywhere
def test_pods_are_restricted(values: str | None) -> None:
    """The "restricted" Pod Security Standard, and stricter rules of this project."""
    for name, pod in pods(own(*profile(values))).items():
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] > 10000, name
        assert security["runAsGroup"] > 10000, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        assert all(set(v) <= {"name", "emptyDir", "projected"} for v in pod["volumes"]), name
        for container in containers(pod):
            # An image may have its own user.
            assert {k: v for k, v in container["securityContext"].items() if k != "runAsUser"} == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "capabilities": {"drop": ["ALL"]},
            }, name


@everywhere
def test_containers_have_resource_limits(values: str | None) -> None:
    for name, pod in pods(own(*profile(values))).items():
        for container in containers(pod):
            for side in ("requests", "limits"):
                assert set(container["resources"][side]) == {"cpu", "memory", "ephemeral-storage"}, name


@everywhere
def test_secrets_are_mounted_as_files_only(values: str | None) -> None:
    for name, pod in _work(values).items():
        for container in containers(pod):
            if container["name"] == "clients":  # copies programs of another image, and gets no secret
                assert "env" not in container, name
                assert [mount["name"] for mount in container["volumeMounts"]] == ["clients"], name
                continue
            found = environment(container)
            assert not [v for v in found if "PASSWORD" in v or "SECRET_KEY" in v], name
            assert found["SLIPWAY_SECRETS_DIR"] == "/run/secrets/slipway", name
            mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
            assert mounts["secrets"] == {
                "name": "secrets",
                "mountPath": "/run/secrets/slipway",
                "readOnly": True,
            }


def _work(values: str | None, *more: str) -> dict[str, Object]:
    """Return the pods that run the service: not those of `helm test`, which gets no settings, or of tools."""
    others = ("Pod/", "Deployment/slipway-pgadmin", "Deployment/slipway-redis-commander")
    return {
        name: pod for name, pod in pods(own(*profile(values), *more)).items() if not name.startswith(others)
    }


def _secret_files(pod: Object) -> dict[str, tuple[str, str]]:
    (volume,) = (v["projected"] for v in pod["volumes"] if v["name"] == "secrets")
    return {
        item["path"]: (source["secret"]["name"], item["key"])
        for source in volume["sources"]
        for item in source["secret"]["items"]
    }


def test_account_gives_no_token_to_pods_that_do_not_ask() -> None:
    assert one(own(), "ServiceAccount")["automountServiceAccountToken"] is False


def test_pods_listen_on_ipv6_if_configured() -> None:
    for address in ("0.0.0.0", "::"):
        (server,) = pods(own("--set", f"listen={address}"))["Deployment/slipway"]["containers"]
        ours = environment(server)
        assert (ours["SLIPWAY_SERVER__HOST"], ours["SLIPWAY_SERVER__ADMIN_HOST"]) == (address, address)


def test_only_secrets_of_rotations_and_backups_may_be_absent() -> None:
    backups = "backup.enabled=true,backup.existingClaim=c,backup.existingSecret=s,backup.restore=latest"
    found = {**_work("02-external-values.yaml"), **_work(None, "--set", backups)}
    assert len(found) > 6
    for name, pod in found.items():
        for volume in (v["projected"] for v in pod["volumes"] if "projected" in v):
            assert volume["defaultMode"] == 0o440, name
        (volume,) = (v["projected"] for v in pod["volumes"] if v["name"] == "secrets")
        absent = {
            item["path"]
            for source in volume["sources"]
            for item in source["secret"]["items"]
            if source["secret"].get("optional")
        }
        may_be = {path for path in _secret_files(pod) if path.startswith(("backup/", "security/previous"))}
        assert absent == may_be, name


def test_secret_files_come_from_the_generated_secret() -> None:
    found = pods(own())
    assert _secret_files(found["Deployment/slipway"]) == {
        "database/password": ("slipway-credentials", "database-app-password"),
        "redis/password": ("slipway-credentials", "redis-password"),
        "security/secret_key": ("slipway-credentials", "secret-key"),
        "security/previous_secret_key": ("slipway-credentials", "previous-secret-key"),
    }
    (migration,) = (pod for name, pod in found.items() if name.startswith("Job/"))
    assert _secret_files(migration) == {
        "database/password": ("slipway-credentials", "database-password"),
        "database/app_password": ("slipway-credentials", "database-app-password"),
        "security/secret_key": ("slipway-credentials", "secret-key"),
    }


def test_only_the_migration_gets_the_admin_key() -> None:
    found = pods(
        own(
            "--set",
            "backup.enabled=true,backup.existingClaim=backups",
            "--set",
            "security.adminKey.existingSecret=mine",
        )
    )
    got = {name for name, pod in found.items() if "mine" in str(pod)}
    (migration,) = (name for name in found if name.startswith("Job/"))
    assert got == {migration}
    assert _secret_files(found[migration])["security/admin_key"] == ("mine", "admin-key")


def test_secret_files_come_from_the_named_secrets() -> None:
    found = pods(own(*profile("02-external-values.yaml")))
    assert _secret_files(found["Deployment/slipway"]) == {
        "database/password": ("shop-database", "password"),
        "redis/password": ("shop-redis", "password"),
        "security/secret_key": ("shop-signing", "key"),
        "security/previous_secret_key": ("shop-signing", "previous-secret-key"),
    }
    (migration,) = (pod for name, pod in found.items() if name.startswith("Job/"))
    assert _secret_files(migration) == {
        "database/password": ("shop-database-owner", "password"),
        "security/secret_key": ("shop-signing", "key"),
    }


def test_external_servers_are_verified_with_the_configured_ca() -> None:
    found = pods(own(*profile("02-external-values.yaml")))
    server = found["Deployment/slipway"]
    (volume,) = (v["projected"] for v in server["volumes"] if v["name"] == "authorities")
    files = {source["configMap"]["name"]: source["configMap"]["items"] for source in volume["sources"]}
    assert set(files) == {"shop-authorities"}
    (main,) = server["containers"]
    variables = environment(main)
    assert variables["SLIPWAY_DATABASE__SSL"] == "verify-full"
    assert variables["SLIPWAY_DATABASE__SSL_ROOT_CERT"] == "/run/authorities/database.crt"
    assert variables["SLIPWAY_REDIS__TLS"] == "true"
    assert variables["SLIPWAY_REDIS__ROOT_CERT"] == "/run/authorities/redis.crt"
    mounts = {mount["name"]: (mount["mountPath"], mount.get("readOnly")) for mount in main["volumeMounts"]}
    assert mounts["authorities"] == ("/run/authorities", True)
    (migration,) = (pod for name, pod in found.items() if name.startswith("Job/"))
    (volume,) = (v["projected"] for v in migration["volumes"] if v["name"] == "authorities")
    assert [item["path"] for source in volume["sources"] for item in source["configMap"]["items"]] == [
        "database.crt"
    ]


@pytest.mark.parametrize(("drain", "shutdown"), [(5, 15), (0, 10), (30, 60)])
def test_drain_value_sets_all_shutdown_timings(drain: int, shutdown: int) -> None:
    text = own("--set", f"drain={drain}", "--set", f"shutdownTimeout={shutdown}")
    pod = pods(text)["Deployment/slipway"]
    (server,) = pod["containers"]
    variables = environment(server)
    assert variables["SLIPWAY_SERVER__DRAIN_DELAY"] == str(drain)
    assert variables["SLIPWAY_SERVER__SHUTDOWN_TIMEOUT"] == str(shutdown)
    sleep = server.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert sleep == drain
    assert pod["terminationGracePeriodSeconds"] == sleep + drain + shutdown + 5


def test_probes_use_the_admin_port() -> None:
    (server,) = pods(own())["Deployment/slipway"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in server["ports"]}
    assert ports == {"http": 8000, "admin": 9000}
    settings = environment(server)
    assert settings["SLIPWAY_SERVER__PORT"] == "8000"
    assert settings["SLIPWAY_SERVER__ADMIN_PORT"] == "9000"
    for probe, path in (("startup", "/startupz"), ("liveness", "/livez"), ("readiness", "/readyz")):
        assert server[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "admin"}


def test_rollout_keeps_all_pods_and_outlasts_the_migration() -> None:
    text = own()
    spec = one(text, "Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    (job,) = (name for name in pods(text) if name.startswith("Job/"))
    migration = one(text, "Job", job.removeprefix("Job/"))["spec"]
    assert spec["progressDeadlineSeconds"] == migration["activeDeadlineSeconds"] + 300
    (gate,) = spec["template"]["spec"]["initContainers"]
    assert gate["args"] == ["migrate", "--check", "--wait", "300"]
    assert spec["progressDeadlineSeconds"] > int(gate["args"][-1])


def test_pods_of_a_version_are_spread_over_nodes() -> None:
    spread = pods(own())["Deployment/slipway"]["topologySpreadConstraints"]
    assert [c["topologyKey"] for c in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert all(c["matchLabelKeys"] == ["pod-template-hash"] for c in spread)


def test_disruption_budget_never_blocks_a_drain() -> None:
    """With one pod too, since it counts the unavailable ones."""
    spec = one(own("--set", "replicaCount=1"), "PodDisruptionBudget")["spec"]
    assert spec["maxUnavailable"] == 1
    assert "minAvailable" not in spec
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_selectors_match_exactly_the_pods() -> None:
    text = own()
    server = one(text, "Deployment")["spec"]["template"]["metadata"]["labels"]
    (job,) = (name.removeprefix("Job/") for name in pods(text) if name.startswith("Job/"))
    migration = one(text, "Job", job)["spec"]["template"]["metadata"]["labels"]
    for service in ("slipway", "slipway-admin"):
        selector = one(text, "Service", service)["spec"]["selector"].items()
        assert selector <= server.items()
        assert not selector <= migration.items()
