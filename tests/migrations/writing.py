"""Writes migrations for a test, after the newest of their branch."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.migrations import branches
from service.migrations.branches import BRANCHES, CHASSIS, Branch
from service.migrations.revisions import heads

Write = Callable[..., None]

SCRIPT = """
from alembic import op

from service.migrations.operations import create_index_concurrently, drop_index_concurrently

revision, down_revision, branch_labels, depends_on = {revision!r}, {down!r}, None, None
formerly = {formerly!r}


def upgrade():
    for statement in {statements!r}:
        op.execute(statement)
    {code}


def downgrade():
    pass
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the migrations of both branches, for the test to change."""
    known = heads()
    place = tmp_path / "package"
    for branch in BRANCHES:
        shutil.copytree(branch.location, place / branch.folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(branches, "PACKAGE", place)
    branches.scripts.cache_clear()
    yield place
    monkeypatch.undo()
    branches.scripts.cache_clear()
    assert heads() == known


@pytest.fixture
def write(package: Path) -> Write:
    """`write("next", "SELECT 1")` adds a migration after the newest of the chassis, or of another branch, for this test
    only; `code=` adds Python to it."""

    def add(
        revision: str, *statements: str, code: str = "", branch: Branch = CHASSIS, formerly: str | None = None
    ) -> None:
        down = branches.head(branch)
        text = SCRIPT.format(
            revision=revision, down=down, formerly=formerly, statements=statements, code=code
        )
        (package / branch.folder / f"{revision}.py").write_text(text)
        branches.scripts.cache_clear()

    return add


def remove_domains(package: Path) -> None:
    """Keep only the chassis, without migrations of domains."""
    for file in (package / "domains" / "migrations").glob("*.py"):
        file.unlink()
    branches.scripts.cache_clear()
