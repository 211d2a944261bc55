"""The base image is pinned, and the tool that updates it finds it."""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCKERFILE = Path(ROOT, "Dockerfile").read_text("utf-8")
# https://github.com/opencontainers/image-spec/blob/main/annotations.md. The workflow that releases adds `source`,
# `url` and `documentation`; `ref.name` belongs to image layouts.
LABELS = (
    *("title", "description", "licenses", "authors", "vendor", "version", "revision", "created"),
    *("base.name", "base.digest"),
)


def _argument(name: str) -> str:
    (value,) = re.findall(rf"^ARG {name}=(.+)$", DOCKERFILE, re.MULTILINE)
    return str(value)


def test_base_is_pinned_by_digest() -> None:
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", _argument("PYTHON_DIGEST"))
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert set(bases) == {"${PYTHON_IMAGE}${PYTHON_DIGEST:+@${PYTHON_DIGEST}}", "packages"}


def test_make_builds_on_the_same_tag() -> None:
    makefile = Path(ROOT, "Makefile").read_text("utf-8")
    assert f"PYTHON_IMAGE ?= {_argument('PYTHON_IMAGE')}\n" in makefile


def test_renovate_finds_the_base() -> None:
    renovate: dict[str, Any] = json.loads(Path(ROOT, ".github", "renovate.json").read_text("utf-8"))
    (manager,) = renovate["customManagers"]
    (pattern,) = manager["matchStrings"]
    found = re.search(pattern.replace("(?<", "(?P<"), DOCKERFILE)
    assert found
    assert f"{found['depName']}:{found['currentValue']}" == _argument("PYTHON_IMAGE")
    assert found["currentDigest"] == _argument("PYTHON_DIGEST")
    assert [
        re.fullmatch(each.strip("/"), "Dockerfile") is not None for each in manager["managerFilePatterns"]
    ]


def test_labels_are_complete() -> None:
    assert set(re.findall(r"org\.opencontainers\.image\.([a-z.]+)=", DOCKERFILE)) == set(LABELS)
