"""The revisions that this version was built with, without Alembic: a process that serves needs nothing else of it."""

import ast
from functools import cache
from pathlib import Path
from typing import Any

from service.migrations.errors import BackwardsError, UnknownRevisionError

LOCATION = Path(__file__).parent


@cache
def revisions() -> tuple[str, ...]:
    """All revisions that this version knows, oldest first."""
    after: dict[str | None, str] = {}
    for file in (LOCATION / "versions").glob("[!_]*.py"):
        constants = _constants(file)
        after[constants["down_revision"]] = constants["revision"]
    chain: list[str] = []
    while (following := after.pop(chain[-1] if chain else None, None)) is not None:
        chain.append(following)
    if after:
        raise AssertionError(f"the migrations are no single line: {', '.join(after.values())} follow nothing")
    return tuple(chain)


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
            raise AssertionError(f"the migration {file.name} sets no {constant} to a constant")
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
