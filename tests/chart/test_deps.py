"""chart/deps: the bundled charts, out of a folder or from their repositories."""

import io
import shutil
import tarfile
from pathlib import Path

import pytest
import yaml

from tests.chart.rendering import CHART, helm_or_skip
from tests.stand_ins import Programs

NAMED = {"redis": "1.2.3-rc.1", "redis-cluster": "2.0.0"}
ADDRESSES = {"redis": "oci://charts.example.com/oci", "redis-cluster": "https://charts.example.com/https"}
# What would download does not run.
ANSWERS = """
"helm dependency list "*) exec "$HELM_ITSELF" "$@";;
*) echo "$HELM_REPOSITORY_CONFIG" >>"$CALLS.config";;
"""


def _pack(folder: Path, name: str, version: str, note: str = "") -> Path:
    """Write a chart as `helm package` does."""
    content = yaml.safe_dump({"apiVersion": "v2", "name": name, "version": version, "description": note})
    package = folder / f"{name}-{version}.tgz"
    with tarfile.open(package, "w:gz") as archive:
        entry = tarfile.TarInfo(f"{name}/Chart.yaml")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content.encode()))
    return package


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A chart with a dependency in each kind of repository."""
    folder = tmp_path / "chart"
    (folder / "charts").mkdir(parents=True)
    shutil.copy(CHART / "deps", folder)
    named = [
        {"name": name, "version": version, "repository": ADDRESSES[name]} for name, version in NAMED.items()
    ]
    about = {"apiVersion": "v2", "name": "x", "version": "0.1.0", "dependencies": named}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(about))
    return folder


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    helm_or_skip("helm")
    return Programs(tmp_path, ["helm"], ANSWERS)


def _helm() -> str:
    return str(shutil.which("helm"))


def test_packages_of_a_folder_replace_other_versions(chart: Path, programs: Programs, tmp_path: Path) -> None:
    charts, given = chart / "charts", tmp_path / "given"
    given.mkdir()
    for name, version in NAMED.items():
        _pack(given, name, version)
    same = Path(shutil.copy2(given / "redis-cluster-2.0.0.tgz", charts)).stat()
    for name, version in (("redis", "1.1.0"), ("redis", "1.2.3"), ("left-over", "0.1.0")):
        _pack(charts, name, version)
    done = programs.run(chart / "deps", SLIPWAY_CHARTS_DIR=str(given), HELM_ITSELF=_helm())
    packages = ["redis-1.2.3-rc.1.tgz", "redis-cluster-2.0.0.tgz"]
    assert (done.returncode, done.stdout.splitlines()) == (0, [f"chart/deps: {one}" for one in packages]), (
        done.stderr
    )
    assert {one.name for one in charts.iterdir()} == {*packages}
    assert (charts / packages[0]).read_bytes() == (given / packages[0]).read_bytes()
    kept = (charts / packages[1]).stat()
    assert (kept.st_ino, kept.st_mtime_ns) == (same.st_ino, same.st_mtime_ns), "somebody may be reading it"
    _pack(given, "redis-cluster", "2.0.0", note="built again")
    assert programs.run(chart / "deps", SLIPWAY_CHARTS_DIR=str(given), HELM_ITSELF=_helm()).returncode == 0
    assert (charts / packages[1]).read_bytes() == (given / packages[1]).read_bytes()
    shutil.rmtree(charts)
    assert programs.run(chart / "deps", SLIPWAY_CHARTS_DIR=str(given), HELM_ITSELF=_helm()).returncode == 0
    assert {one.name for one in charts.iterdir()} == {*packages}


def test_missing_package_is_named_and_failures_end_the_script(
    chart: Path, programs: Programs, tmp_path: Path
) -> None:
    _pack(tmp_path, "redis-cluster", "2.0.0")
    done = programs.run(chart / "deps", SLIPWAY_CHARTS_DIR=str(tmp_path), HELM_ITSELF=_helm())
    assert (done.returncode, done.stderr) == (1, f"chart/deps: {tmp_path} has no redis-1.2.3-rc.1.tgz\n")
    assert list((chart / "charts").iterdir()) == []
    for given in (str(tmp_path), ""):
        failed = programs.run(chart / "deps", SLIPWAY_CHARTS_DIR=given, HELM_ITSELF="/bin/false")
        assert failed.returncode != 0, "Helm cannot list the dependencies"


def test_download_leaves_the_repositories_of_the_user_alone(
    chart: Path, programs: Programs, tmp_path: Path
) -> None:
    done = programs.run(chart / "deps", HELM_ITSELF=_helm(), HELM_REPOSITORY_CONFIG="/of/the/user")
    assert done.returncode == 0, done.stderr
    assert [call for call in programs.calls if "dependency list" not in call] == [
        f"helm repo add redis-cluster {ADDRESSES['redis-cluster']}",
        "helm dependency build .",
    ]
    (used,) = {*(tmp_path / "calls.config").read_text().splitlines()}
    assert used != "/of/the/user"
    assert not Path(used).parent.exists()
