"""The settings of a team's domain are values of the chart: `config.<domain>`."""

import runpy
import shutil
from pathlib import Path
from subprocess import CompletedProcess
from typing import Annotated

import pytest
from pydantic import Field

import service.domains
from service.config import Group
from service.resources.domain import Domain
from tests.chart.rendering import CHART, containers, environment, helm_or_skip, pods, render, run


class OrdersSettings(Group):
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    """Most orders of a customer."""


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart as `make chart-reference` writes it for a team whose domain has settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service.domains, "DOMAINS", (Domain("orders", settings=OrdersSettings),))
        written = runpy.run_path(str(CHART / "reference.py"))["written"]()
    copy = tmp_path_factory.mktemp("orders") / "slipway"
    shutil.copytree(CHART, copy, ignore=shutil.ignore_patterns("charts", "ci", "__pycache__"))
    manifest = (copy / "Chart.yaml").read_text("utf-8")
    (copy / "Chart.yaml").write_text(manifest.partition("\ndependencies:")[0] + "\n", "utf-8")
    (copy / "values.schema.json").write_text(written[CHART / "values.schema.json"], "utf-8")
    return copy


def rendered(chart: Path, value: str) -> CompletedProcess[str]:
    helm_or_skip("helm")
    return run("helm", "template", "slipway", str(chart), "--set", value)


def test_domain_setting_reaches_the_pods(chart: Path) -> None:
    done = rendered(chart, "config.orders.limit=7")
    assert done.returncode == 0, done.stderr
    server = containers(pods(done.stdout)["Deployment/slipway"])[-1]
    assert environment(server)["SLIPWAY_ORDERS__LIMIT"] == "7"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("config.orders.limt=7", "at '/config/orders': additional properties 'limt' not allowed"),
        ("config.orders.limit=900", "at '/config/orders/limit': maximum: got 900, want 100"),
    ],
)
def test_invalid_domain_setting_is_refused(chart: Path, value: str, said: str) -> None:
    done = rendered(chart, value)
    assert done.returncode != 0
    assert said in done.stderr


def test_settings_of_an_unknown_domain_are_refused() -> None:
    helm_or_skip("helm")
    done = render("--set", "config.nothing.limit=7")
    assert "at '/config': additional properties 'nothing' not allowed" in done.stderr
