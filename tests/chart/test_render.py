"""The chart renders and lints in every profile, with Helm 4 and 3, with and without its dependencies."""

import re
import tomllib
from collections.abc import Callable

import pytest
import yaml

import service
from tests.chart.rendering import (
    CHART,
    PROFILES,
    helm_or_skip,
    objects,
    one,
    own,
    pods,
    profile,
    render,
    run,
    whole,
)

HELMS = ("helm", "helm3")
PASSWORD = re.compile(
    r'^  "([a-z-]+-password|secret-key)": .*$|^ +checksum/([a-z-]+-password|secret-key): .*$', re.MULTILINE
)


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("values", [None, *PROFILES])
def test_chart_passes_strict_lint(values: str | None, helm: str) -> None:
    done = run(helm_or_skip(helm), "lint", str(CHART), "--strict", "--quiet", *profile(values))
    # `--quiet` omits passes; a missing icon is only informational.
    assert done.returncode == 0 or "missing these dependencies" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("values", [None, *PROFILES])
@pytest.mark.parametrize("rendering", [own, whole])
def test_helm_3_and_4_render_the_same(rendering: Callable[..., str], values: str | None) -> None:
    helm_or_skip("helm3")
    # By default, each Helm renders for the Kubernetes version that it was built with.
    texts = [rendering(*profile(values), "--kube-version", "1.34.0", helm=helm) for helm in HELMS]
    three, four = (
        [PASSWORD.sub("", str(found)) for found in objects(PASSWORD.sub("", text))] for text in texts
    )
    assert three == four


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("values", [None, *PROFILES])
def test_chart_renders_with_its_dependencies(values: str | None, helm: str) -> None:
    helm_or_skip(helm)
    text = whole(*profile(values), helm=helm)
    workloads = pods(text)
    external = (values or "").startswith(("02", "04"))
    assert ("StatefulSet/slipway-postgresql" in workloads) != external
    if not external:
        claims = workloads["StatefulSet/slipway-postgresql"]["containers"][0]["env"]
        references = [v["valueFrom"]["secretKeyRef"] for v in claims if "valueFrom" in v]
        assert references == [{"name": "slipway-credentials", "key": "database-password"}]
        for server in [name for name in workloads if name.startswith("StatefulSet/") and "loki" not in name]:
            name = server.removeprefix("StatefulSet/")
            selector = one(text, "NetworkPolicy", name)["spec"]["podSelector"]["matchLabels"].items()
            labels = one(text, "StatefulSet", name)["spec"]["template"]["metadata"]["labels"].items()
            assert selector <= labels, server


def test_no_template_uses_a_helper_of_a_subchart() -> None:
    templates = sorted(path for path in (CHART / "templates").rglob("*") if path.is_file())
    used = {name for path in templates for name in re.findall(r'include "([^"]+)"', path.read_text("utf-8"))}
    assert used
    assert {name for name in used if not name.startswith("slipway.")} == set()


def test_only_the_test_and_the_optional_migration_are_hooks() -> None:
    hooks = {
        (values, found["kind"])
        for values in [None, *PROFILES]
        for found in objects(own(*profile(values)))
        if "helm.sh/hook" in (found["metadata"].get("annotations") or {})
    }
    assert hooks == {
        *((values, "Pod") for values in [None, *PROFILES]),
        *(("04-ha-values.yaml", kind) for kind in ("Job", "NetworkPolicy")),
    }


@pytest.mark.parametrize(("release", "name"), [("shop", "shop-slipway"), ("slipway-eu", "slipway-eu")])
def test_names_start_with_the_release_name(release: str, name: str) -> None:
    text = render(release=release).stdout
    assert one(text, "Deployment")["metadata"]["name"] == name
    assert one(text, "Secret")["metadata"]["name"] == f"{release}-credentials"
    hosts = {v for v in re.findall(r'_HOST\n +value: "(.*)"', text) if release in v}
    assert hosts == {f"{release}-postgresql", f"{release}-redis"}


def test_chart_renders_without_fetched_dependencies() -> None:
    external = profile("02-external-values.yaml")  # which generates no passwords
    assert run(str(CHART / "render"), "--namespace", "shop", *external).stdout == own(*external)


def test_names_fit_into_labels() -> None:
    text = own("--set", f"fullnameOverride={'n' * 63}")
    assert max(len(found["metadata"]["name"]) for found in objects(text)) <= 63


def test_generated_secret_is_kept_and_alphanumeric() -> None:
    text = own()
    secret = one(text, "Secret")
    assert secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert set(secret["data"]) == {
        "database-app-password",
        "database-password",
        "redis-password",
        "secret-key",
    }


def test_no_secret_is_generated_when_all_are_supplied() -> None:
    kinds = {found["kind"] for found in objects(own(*profile("02-external-values.yaml")))}
    assert "Secret" not in kinds


def test_chart_and_package_versions_match() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    project = tomllib.loads((CHART.parent / "pyproject.toml").read_text("utf-8"))["project"]
    assert chart["version"] == chart["appVersion"] == project["version"] == service.__version__
