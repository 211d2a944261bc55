"""The lock files: hashed, and consistent with pyproject.toml."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_LOCKED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*])?==([^\s;\\]+)")


def locked(text: str) -> dict[str, tuple[str, int]]:
    """Return (version, number of hashes) of each package in a compiled requirements file."""
    found: dict[str, tuple[str, int]] = {}
    name = ""
    for line in text.splitlines():
        if match := _LOCKED.match(line):
            name = canonicalize_name(match[1])
            found[name] = (match[2], 0)
        elif "--hash=" in line and name:
            version, hashes = found[name]
            found[name] = (version, hashes + 1)
    return found


def direct(project: dict[str, Any], *extras: str) -> Iterator[Requirement]:
    """Return the requirements of the project and its extras; extras that name extras are resolved."""
    own = project["project"]
    texts = list(own["dependencies"])
    for extra in extras:
        texts += own["optional-dependencies"][extra]
    for requirement in map(Requirement, texts):
        if canonicalize_name(requirement.name) == own["name"]:
            yield from direct({"project": {**own, "dependencies": []}}, *requirement.extras)
        else:
            yield requirement


def faults(pyproject: str, lock: str, *extras: str) -> Iterator[str]:
    """Return what `make lock` would have to fix."""
    packages = locked(lock)
    for requirement in direct(tomllib.loads(pyproject), *extras):
        version, _ = packages.get(canonicalize_name(requirement.name), ("", 0))
        if not version:
            yield f"{requirement.name} is not locked: run `make lock`"
        elif not requirement.specifier.contains(version, prereleases=True):
            yield f"{requirement.name} is locked at {version}, wanted is {requirement.specifier}: run `make lock`"
    for name, (_, hashes) in packages.items():
        if not hashes:
            yield f"{name} has no hash: run `make lock`"
