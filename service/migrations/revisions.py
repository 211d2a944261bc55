"""The revisions that this version was built with, without Alembic: a process that serves needs nothing else of it."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from service.migrations.errors import BackwardsError, ScriptsError, UnknownRevisionError

LOCATION = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Script:
    """One file of `versions`: its revision, and the revision it follows (None: it is the first)."""

    file: str
    revision: str
    follows: str | None


@cache
def revisions() -> tuple[str, ...]:
    """Return all revisions of this version, oldest first. Raises `ScriptsError` unless they form a single line."""
    # Every file that Alembic would read.
    files = sorted(
        f for f in (LOCATION / "versions").glob("*.py") if not f.name.startswith((".#", "__init__"))
    )
    return tuple(script.revision for script in in_line(map(_script, files)))


def in_line(scripts: Iterable[Script]) -> list[Script]:
    """The scripts of one branch, oldest first.

    Raises `ScriptsError`, naming the files, for a duplicate revision id, for two files that follow the same revision
    (two heads), and for a file whose chain has no first revision.
    """
    by_revision: dict[str, Script] = {}
    following: dict[str | None, Script] = {}
    for script in scripts:
        twin = by_revision.setdefault(script.revision, script)
        if twin is not script:
            raise ScriptsError(
                f"the migrations {twin.file} and {script.file} both have the revision {script.revision}; "
                "give one of them another id"
            )
        rival = following.setdefault(script.follows, script)
        if rival is not script:
            raise ScriptsError(
                f"the migrations have two heads: {rival.file} and {script.file} both follow "
                f"{script.follows or 'nothing'}; let one of them follow the other"
            )
    line: list[Script] = []
    while (script_ := following.pop(line[-1].revision if line else None, None)) is not None:
        line.append(script_)
    if following:
        rest = ", ".join(f"{script.file} follows {script.follows}" for script in following.values())
        raise ScriptsError(f"the migrations are not a single line from a first one: {rest}")
    return line


def _script(file: Path) -> Script:
    constants = _constants(file)
    return Script(file.name, constants["revision"], constants["down_revision"])


def _constants(file: Path) -> dict[str, Any]:
    """What a revision says of itself: the names that it sets to constants, alone or several at once."""
    found: dict[str, Any] = {}
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            names, values = (
                part.elts if isinstance(part, ast.Tuple) else [part] for part in (target, node.value)
            )
            for name, value in zip(names, values, strict=False):
                if isinstance(name, ast.Name) and isinstance(value, ast.Constant):
                    found[name.id] = value.value
    for constant in ("revision", "down_revision"):
        if constant not in found:
            raise ScriptsError(f"the migration {file.name} does not set {constant} to a constant")
    return found


def head() -> str:
    """The newest revision that this version knows."""
    return revisions()[-1]


def known(revision: str) -> str:
    """The revision itself; the newest one for `head`. Raises `UnknownRevisionError`."""
    if revision == "head":
        return head()
    if revision not in revisions():
        raise UnknownRevisionError(
            f"there is no revision {revision} in this version; it has {', '.join(revisions())}"
        )
    return revision


def compatible(current: str | None) -> bool:
    """Whether this version can serve a database at `current`: its own head, or one newer than all it knows.

    A newer database was expanded by a newer version; contracting waits until the old version is gone.
    """
    return current == head() or (current is not None and current not in revisions())


def reached(current: str | None, target: str) -> bool:
    """Whether nothing is left to do. Raises `BackwardsError` when the database is beyond the target."""
    if current == target or (target == head() and compatible(current)):
        return True
    if current is not None and current not in revisions()[: revisions().index(target)]:
        raise BackwardsError(
            f"the database is at revision {current}, beyond {target}: migrations go forward only; "
            "what one of them did is undone by a new one"
        )
    return False
