"""What chart/package.py writes into the package, without packing it."""

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tests.chart.rendering import CHART

DIGEST = f"sha256:{'a' * 64}"
SOURCE = "https://git.example.com/shop/slipway"


@pytest.fixture
def packing() -> ModuleType:
    found = importlib.util.spec_from_file_location("packing", CHART / "package.py")
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def _git(folder: Path, *arguments: str) -> None:
    author = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *author, *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=30)


def _commit(folder: Path, subject: str, *tags: str) -> None:
    _git(folder, "commit", "--quiet", "--allow-empty", "-m", subject)
    for tag in tags:
        _git(folder, "tag", tag)


def test_changes_are_those_since_the_previous_release(
    packing: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "CHART", tmp_path)
    _git(tmp_path, "init", "--quiet", "--initial-branch=main")
    _commit(tmp_path, "First")
    _commit(tmp_path, "Second")
    assert packing.changes() == ["Second", "First"]
    _git(tmp_path, "tag", "v0.9.0", "HEAD^")
    _git(tmp_path, "tag", "v0.10.0")  # later than 0.9, though not by the alphabet
    _git(tmp_path, "checkout", "--quiet", "-b", "side")
    _commit(tmp_path, "On a branch", "zero-1")  # a tag of something else
    _git(tmp_path, "checkout", "--quiet", "main")
    _git(tmp_path, "merge", "--quiet", "--no-ff", "-m", "Merge", "side")
    _commit(tmp_path, "Last", "v0.11.0")  # the release itself
    assert packing.changes() == ["Last", "On a branch"]
    monkeypatch.setattr(packing, "MOST_CHANGES", 1)
    assert packing.changes() == ["Last"]


def test_image_becomes_the_default_and_nothing_else_changes(packing: ModuleType) -> None:
    values = (CHART / "values.yaml").read_text("utf-8")
    changed = packing.set_image(values, "registry.example.com/slipway", DIGEST)
    before, after = yaml.safe_load(values), yaml.safe_load(changed)
    assert (after["image"]["repository"], after["image"]["digest"]) == (
        "registry.example.com/slipway",
        DIGEST,
    )
    assert after == before | {"image": after["image"]}
    assert after["image"].keys() == before["image"].keys()
    different = [
        new for old, new in zip(values.splitlines(), changed.splitlines(), strict=True) if old != new
    ]
    assert different == ["  repository: registry.example.com/slipway", f"  digest: {DIGEST}"]
    with pytest.raises(SystemExit, match=r"^values.yaml has no image.digest$"):
        packing.set_image("image:\n  repository: x\nother:\n  digest: y\n", "a", DIGEST)


@pytest.mark.parametrize(("version", "early"), [("1.2.0", "false"), ("1.2.0-rc.1", "true")])
def test_release_is_described(packing: ModuleType, version: str, early: str) -> None:
    chart = {"version": version, "annotations": {"artifacthub.io/license": "Apache-2.0"}, "home": "old"}
    images = ["docker.io/library/redis:8", f"localhost:5000/shop/slipway@{DIGEST}"]
    made = packing.describe(chart, SOURCE, images, ["Ä: one", "two"])
    assert (made["version"], made["home"], made["sources"]) == (version, SOURCE, [SOURCE])
    about = {key.removeprefix("artifacthub.io/"): value for key, value in made["annotations"].items()}
    assert (about["license"], about["prerelease"]) == ("Apache-2.0", early)
    assert yaml.safe_load(about["changes"]) == ["Ä: one", "two"]
    assert "Ä" in about["changes"], "Artifact Hub shows it as it is"
    assert yaml.safe_load(about["images"]) == [
        {"name": "redis", "image": images[0]},
        {"name": "slipway", "image": images[1]},
    ]
    for link in yaml.safe_load(about["links"]):
        page = link["url"].removeprefix(f"{SOURCE}/blob/v{version}/")
        assert (CHART.parent / page).is_file(), link


@pytest.mark.parametrize("image", ["slipway:1.0", DIGEST, f"slipway@{DIGEST[:-1]}", f"slipway@{DIGEST}0", ""])
def test_image_that_could_move_is_refused(packing: ModuleType, tmp_path: Path, image: str) -> None:
    with pytest.raises(SystemExit, match="because a tag can move"):
        packing.package(image, SOURCE, tmp_path / "dist")
    assert list(tmp_path.iterdir()) == []


def test_images_of_a_rendering_are_found(packing: ModuleType) -> None:
    text = 'a:\n  image: "x/y:1"\n  - image: z\n# image: no\n  imagePullPolicy: Always\n  - name: image: no\n'
    assert packing.IMAGE.findall(text) == ["x/y:1", "z"]
