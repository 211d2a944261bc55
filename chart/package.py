"""Packages the chart for a release, with the release's image as its default and the metadata that Artifact Hub shows.

    package.py --image registry.example.com/shop/slipway@sha256:… --source https://git.example.com/shop/slipway

Prints the path of the package. Needs the dependencies (`make chart-deps`) and Helm. The version is the one in
Chart.yaml. The changes are the subjects of the commits since the previous tag `v*`.
"""  # noqa: INP001 - a script, not a package

import argparse
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent
HELM = os.environ.get("HELM", "helm")
# Artifact Hub shows them as one list.
MOST_CHANGES = 50
IMAGE = re.compile(r"""^ *(?:- )?image: ["']?([^\s"']+)""", re.MULTILINE)
REFERENCE = re.compile(r"(?P<repository>[^@]+)@(?P<digest>sha256:[0-9a-f]{64})")


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout  # noqa: S603


def changes() -> list[str]:
    """Return the subjects of the commits since the previous tag, newest first; all commits without a previous tag."""
    git = ("git", "-C", str(CHART))
    tags = _run(*git, "tag", "--list", "v*", "--merged", "HEAD^", "--sort=-version:refname").split()
    commits = f"{tags[0]}..HEAD" if tags else "HEAD"
    log = _run(*git, "log", "--no-merges", f"--max-count={MOST_CHANGES}", "--format=%s", commits)
    return log.splitlines()


def set_image(values: str, repository: str, digest: str) -> str:
    """Return values.yaml with this image as the default. Its comments stay: Artifact Hub shows the file."""
    for key, value in (("repository", repository), ("digest", digest)):
        pattern = rf"^(image:\n(?:  .*\n)*?  {key}: ).*$"
        values, found = re.subn(pattern, rf"\g<1>{value}", values, flags=re.MULTILINE)
        if found != 1:
            message = f"values.yaml has no image.{key}"
            raise SystemExit(message)
    return values


def describe(chart: dict[str, Any], source: str, images: list[str], subjects: list[str]) -> dict[str, Any]:
    """Return Chart.yaml with the addresses of the release and the annotations of Artifact Hub."""
    pages = f"{source}/blob/v{chart['version']}"
    annotations = {
        **chart["annotations"],
        "artifacthub.io/changes": yaml.safe_dump(subjects, allow_unicode=True, width=1000),
        "artifacthub.io/images": yaml.safe_dump(
            [{"name": name(i), "image": i} for i in images], sort_keys=False
        ),
        "artifacthub.io/links": yaml.safe_dump(
            [
                {"name": title, "url": f"{pages}/{path}"}
                for title, path in (
                    ("Documentation", "docs/README.md"),
                    ("On Kubernetes", "docs/kubernetes.md"),
                    ("Runbooks", "docs/runbooks/README.md"),
                )
            ],
            sort_keys=False,
        ),
        "artifacthub.io/prerelease": str("-" in chart["version"]).lower(),
    }
    return {**chart, "home": source, "sources": [source], "annotations": annotations}


def name(image: str) -> str:
    """Return the last part of the image's name: `redis` of `docker.io/library/redis:8`."""
    return re.split(r"[:@]", image.rpartition("/")[2])[0]


def package(image: str, source: str, destination: Path) -> Path:
    """Return the package's path. Raises SystemExit if the image has no digest."""
    reference = REFERENCE.fullmatch(image)
    if reference is None:
        message = "--image must be NAME@sha256:…, because a tag can move"
        raise SystemExit(message)
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, "slipway")
        shutil.copytree(CHART, copy)
        shutil.copy(CHART.parent / "LICENSE", copy)
        values = copy / "values.yaml"
        values.write_text(set_image(values.read_text("utf-8"), **reference.groupdict()), "utf-8")
        rendered = _run(HELM, "template", "slipway", str(copy))
        meta = copy / "Chart.yaml"
        chart = describe(
            yaml.safe_load(meta.read_text("utf-8")), source, sorted(set(IMAGE.findall(rendered))), changes()
        )
        meta.write_text(yaml.safe_dump(chart, sort_keys=False, allow_unicode=True, width=1000), "utf-8")
        destination.mkdir(parents=True, exist_ok=True)
        _run(HELM, "package", str(copy), "--destination", str(destination))
    return destination / f"slipway-{chart['version']}.tgz"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--image", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--destination", type=Path, default=Path("dist"))
    arguments = parser.parse_args()
    print(package(arguments.image, arguments.source.rstrip("/"), arguments.destination))  # noqa: T201


if __name__ == "__main__":
    main()
