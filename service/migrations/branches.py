"""The two branches of migrations, read without Alembic, so that serving processes need not import it.

Each branch is a single line of revisions with a version table of its own: `chassis` is Slipway's, `domains` is the
team's. The chassis always migrates first.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from service.migrations.errors import ScriptsError

PACKAGE = Path(__file__).parents[1]
ID_LENGTH = 32  # characters of Alembic's column version_num


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch: its name, the folder of its files within the package, and its version table."""

    name: str
    folder: str
    table: str

    @property
    def location(self) -> Path:
        return PACKAGE / self.folder


CHASSIS = Branch("chassis", "migrations/versions", "alembic_version")
DOMAINS = Branch("domains", "domains/migrations", "alembic_version_domains")
BRANCHES = (CHASSIS, DOMAINS)


@dataclass(frozen=True, slots=True)
class Script:
    """One migration file: its revision, and the revision it follows (None: it is the first).

    `formerly` is the revision of the chassis that did the same work before there were two branches (None: it is newer).
    """

    file: str
    revision: str
    follows: str | None
    formerly: str | None = None


@cache
def scripts() -> Mapping[Branch, tuple[Script, ...]]:
    """Return the migrations of each branch, oldest first. A branch may have none.

    Raises `ScriptsError` unless each branch is a single line and no two files have the same revision id.
    """
    found = {branch: tuple(map(_script, _files(branch))) for branch in BRANCHES}
    _refuse_twins(found)
    return {branch: tuple(in_line(branch, found[branch])) for branch in BRANCHES}


def known(branch: Branch) -> tuple[str, ...]:
    """Return the revisions of a branch, oldest first. Raises `ScriptsError`."""
    return tuple(script.revision for script in scripts()[branch])


def head(branch: Branch) -> str | None:
    """Return the newest revision of a branch; None if the branch has no migrations."""
    return known(branch)[-1] if known(branch) else None


def in_line(branch: Branch, scripts_: Iterable[Script]) -> list[Script]:
    """Return the scripts of a branch, oldest first.

    Raises `ScriptsError`, naming the branch and the files, for two files that follow the same revision (two heads) and
    for files that do not lead back to a first revision.
    """
    following: dict[str | None, Script] = {}
    for script in scripts_:
        rival = following.setdefault(script.follows, script)
        if rival is not script:
            raise ScriptsError(
                f"the branch {branch.name} has two heads: {rival.file} and {script.file} both follow "
                f"{script.follows or 'nothing'}; let one of them follow the other"
            )
    line: list[Script] = []
    while (next_ := following.pop(line[-1].revision if line else None, None)) is not None:
        line.append(next_)
    if following:
        rest = ", ".join(f"{script.file} follows {script.follows}" for script in following.values())
        raise ScriptsError(f"the branch {branch.name} is not a single line from a first migration: {rest}")
    return line


def _refuse_twins(found: Mapping[Branch, Iterable[Script]]) -> None:
    """Raise `ScriptsError`, naming both files, for a revision id that two migrations have."""
    everywhere = sorted(
        (script.revision, f"{script.file} ({branch.name})") for branch in BRANCHES for script in found[branch]
    )
    for (revision, file), (other, other_file) in pairwise(everywhere):
        if revision == other:
            raise ScriptsError(
                f"the migrations {file} and {other_file} both have the revision {revision}; "
                "give one of them another id"
            )


def _files(branch: Branch) -> Iterator[Path]:
    """Yield every file that Alembic would read."""
    for file in sorted(branch.location.glob("*.py")):
        if not file.name.startswith((".#", "__init__")):
            yield file


def _script(file: Path) -> Script:
    constants = _constants(file)
    for constant in ("revision", "down_revision"):
        if constant not in constants:
            raise ScriptsError(f"the migration {file.name} does not set {constant} to a constant")
    revision = constants["revision"]
    if len(revision) > ID_LENGTH:
        raise ScriptsError(
            f"the migration {file.name} has the revision {revision}: an id has at most {ID_LENGTH} characters"
        )
    return Script(file.name, revision, constants["down_revision"], constants.get("formerly"))


def _constants(file: Path) -> dict[str, Any]:
    """Return the names that a migration sets to constants, alone or several at once."""
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
    return found
