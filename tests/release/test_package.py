"""The packaged chart: the release's image is its default, and its metadata is complete."""

import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, helm_or_skip

DIGEST = f"sha256:{'a' * 64}"
IMAGE = f"registry.example.com/shop/slipway@{DIGEST}"
SOURCE = "https://git.example.com/shop/slipway"


def _package(image: str, destination: Path) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, str(CHART / "package.py"), "--image", image, "--source", SOURCE)
    return subprocess.run(
        (*command, "--destination", str(destination)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


# Unpacking and packing the bundled charts takes seconds.
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> tarfile.TarFile:
    helm_or_skip("helm")
    if not list((CHART / "charts").glob("*.tgz")):
        pytest.skip("chart/charts is empty: `make chart-deps`")
    done = _package(IMAGE, tmp_path_factory.mktemp("package"))
    assert done.returncode == 0, done.stderr
    return tarfile.open(done.stdout.strip())


def _file(packaged: tarfile.TarFile, name: str) -> Any:
    found = packaged.extractfile(f"slipway/{name}")
    assert found
    return yaml.safe_load(found.read())


def test_package_names_its_image_source_and_changes(packaged: tarfile.TarFile) -> None:
    chart = _file(packaged, "Chart.yaml")
    assert (chart["home"], chart["sources"]) == (SOURCE, [SOURCE])
    assert chart["maintainers"]
    about = {
        key.removeprefix("artifacthub.io/"): yaml.safe_load(value)
        for key, value in chart["annotations"].items()
    }
    assert about["license"] == "Apache-2.0"
    assert about["prerelease"] is False
    assert {"name": "slipway", "image": IMAGE} in about["images"]
    assert {"postgres", "redis"} <= {image["name"] for image in about["images"]}
    assert all(link["url"].startswith(f"{SOURCE}/blob/v{chart['version']}/docs/") for link in about["links"])
    assert about["changes"]


def test_package_installs_the_released_image_by_default(packaged: tarfile.TarFile) -> None:
    values = _file(packaged, "values.yaml")
    assert (values["image"]["repository"], values["image"]["digest"]) == (IMAGE.partition("@")[0], DIGEST)
    values["image"] |= {"repository": "slipway", "digest": ""}
    assert values == yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))


def test_package_holds_what_users_need_and_no_scripts(packaged: tarfile.TarFile) -> None:
    names = {name.removeprefix("slipway/") for name in packaged.getnames()}
    assert {"LICENSE", "README.md", "Chart.lock", "values.schema.json", "charts/redis/Chart.yaml"} <= names
    own = {name for name in names if not name.startswith("charts/")}
    assert {name for name in own if name.endswith(".py") and not name.startswith("files/")} == set()
    assert not own & {"deps", "render", ".helmignore"}


def test_package_refuses_an_image_without_a_digest(tmp_path: Path) -> None:
    done = _package("registry.example.com/shop/slipway:1.0.0", tmp_path)
    assert done.returncode == 1
    assert done.stderr == "--image must be NAME@sha256:…, because a tag can move\n"
