"""Backups by CronJobs: who logs in as whom, what they may reach, and where backups go."""

import re

from tests.chart.rendering import environment, objects, one, own, render, template

S3 = ("--set", "backup.enabled=true,backup.storage=s3://shop/nightly,backup.existingSecret=shop-backup")
CLAIM = ("--set", "backup.enabled=true,backup.existingClaim=shop-backups")
COMMANDS = {"create": "slipway_app", "prune": "slipway_app", "drill": "slipway", "restore": "slipway"}


def secrets(pod: dict[str, object]) -> dict[str, str]:
    """Return the Secret of each file."""
    volumes: list[dict[str, dict[str, list[dict[str, dict[str, object]]]]]] = pod["volumes"]  # type: ignore[assignment]
    [projected] = [volume["projected"] for volume in volumes if volume["name"] == "secrets"]  # type: ignore[comparison-overlap]
    return {
        str(item["path"]): str(source["secret"]["name"])
        for source in projected["sources"]
        for item in source["secret"]["items"]  # type: ignore[attr-defined]
    }


def test_each_command_logs_in_as_the_role_that_it_needs() -> None:
    found = {}
    for one_ in objects(own(*S3, "--set", "backup.restore=latest")):
        if one_["kind"] in {"CronJob", "Job"} and one_["metadata"]["labels"][
            "app.kubernetes.io/component"
        ] in {
            "backup",
            "restore",
        }:
            pod = template(one_)["spec"]
            [container] = pod["containers"]
            given = environment(container)
            found[container["args"][1]] = given["SLIPWAY_DATABASE__USER"]
            assert given["SLIPWAY_BACKUP__STORAGE"] == "s3://shop/nightly"
            assert given["SLIPWAY_BACKUP__CLIENT_FOLDER"] == "/clients"
            assert ("SLIPWAY_DATABASE__APP_ROLE" in given) == (given["SLIPWAY_DATABASE__USER"] == "slipway")
            assert secrets(pod)["backup/key"] == secrets(pod)["backup/s3_secret_access_key"] == "shop-backup"
            assert [init["image"] for init in pod["initContainers"]] == ["postgres:18"]
            # On a new volume, a restore may have to create the role of the service.
            assert ("database/app_password" in secrets(pod)) == (given["SLIPWAY_DATABASE__USER"] == "slipway")
    assert found == COMMANDS


def test_backup_logs_in_as_the_owner_if_row_level_security_hides_rows() -> None:
    text = own(*S3, "--set", "config.database.row_security=require")
    found = {}
    for one_ in objects(text):
        if one_["kind"] in {"CronJob", "Deployment"}:
            [container] = template(one_)["spec"]["containers"]
            name = " ".join(container.get("args", ["serve"])[:2])
            found[name] = environment(container)["SLIPWAY_DATABASE__USER"]
    backups = {f"backup {command}": "slipway" for command in ("create", "prune", "drill")}
    assert found == {"serve": "slipway_app", "purge": "slipway_app", **backups}


def test_service_does_not_get_the_key_of_backups() -> None:
    pod = template(one(own(*S3), "Deployment"))["spec"]
    assert not [path for path in secrets(pod) if path.startswith("backup/")]
    assert "SLIPWAY_BACKUP__STORAGE" not in environment(pod["containers"][0])


def test_only_backups_reach_the_storage() -> None:
    policy = one(own(*S3), "NetworkPolicy", "slipway-backups")["spec"]
    [selected] = policy["podSelector"]["matchExpressions"]
    assert selected["values"] == ["backup", "restore"]
    assert policy["egress"] == [{"ports": [{"port": 443}]}]
    database = one(own(*S3), "NetworkPolicy", "slipway-jobs")["spec"]["podSelector"]["matchExpressions"]
    assert database[0]["values"] == ["migration", "purge", "backup", "restore"]
    assert "slipway-backups" not in own(*CLAIM)


def test_backups_on_a_volume() -> None:
    for one_ in objects(own(*CLAIM)):
        if one_["metadata"]["name"].startswith("slipway-backup-"):
            pod = template(one_)["spec"]
            assert {"name": "backups", "mountPath": "/backups"} in pod["containers"][0]["volumeMounts"]
            assert environment(pod["containers"][0])["SLIPWAY_BACKUP__STORAGE"] == "/backups"
            claims = [volume for volume in pod["volumes"] if "persistentVolumeClaim" in volume]
            assert [claim["persistentVolumeClaim"]["claimName"] for claim in claims] == ["shop-backups"]


def test_names_fit_into_those_of_cronjobs_and_the_alerts_know_them() -> None:
    alerts = (
        "--set",
        "prometheusRule.enabled=true,prometheusRule.scrapedOtherwise=true,networkPolicy.enabled=false",
    )
    text = own(*CLAIM, *alerts, "--set", f"backup.restore=latest,fullnameOverride={'n' * 40}")
    names = [found["metadata"]["name"] for found in objects(text) if found["kind"] == "CronJob"]
    assert max(map(len, names)) <= 52  # Kubernetes: CronJob, "Limitations of CronJob names"
    [restore] = [
        found["metadata"]["name"]
        for found in objects(text)
        if found["kind"] == "Job" and "-restore-" in found["metadata"]["name"]
    ]
    [selector] = set(re.findall(r'job_name=~"([^"]+)"', text))
    for name in (restore, *(f"{name}-29400000" for name in names)):
        assert re.fullmatch(selector, name), name


def test_schedule_may_be_empty_and_backups_need_one_place() -> None:
    text = own(*CLAIM, "--set", "backup.schedules.drill=")
    names = [found["metadata"]["name"] for found in objects(text) if found["kind"] == "CronJob"]
    assert names == ["slipway-backup-create", "slipway-backup-prune", "slipway-purge"]
    for given, told in (
        ("backup.enabled=true", "there is no place for backups"),
        ("backup.enabled=true,backup.storage=s3://shop/x,backup.existingClaim=x", "are both set"),
        ("backup.restore=latest", "no storage to restore from"),
    ):
        done = render("--set", given)
        assert done.returncode == 1
        assert told in done.stderr
