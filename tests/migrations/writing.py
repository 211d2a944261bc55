"""Migrations of a test's own, after the newest that there is."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.migrations import revisions

Write = Callable[..., None]

SCRIPT = """
from alembic import op

from service.migrations.operations import create_index_concurrently, drop_index_concurrently

revision, down_revision, branch_labels, depends_on = "{revision}", "{down}", None, None


def upgrade():
    for statement in {statements!r}:
        op.execute(statement)
    {code}


def downgrade():
    pass
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """`write("next", "SELECT 1")` adds a migration after the newest, for this test only; `code=` adds Python to it."""
    known = revisions.head()
    place = tmp_path / "migrations"
    shutil.copytree(revisions.LOCATION, place, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(revisions, "LOCATION", place)

    def forget() -> None:
        revisions.revisions.cache_clear()

    newest = [known]

    def add(revision: str, *statements: str, code: str = "") -> None:
        text = SCRIPT.format(revision=revision, down=newest[-1], statements=statements, code=code)
        (place / "versions" / f"{revision}.py").write_text(text)
        newest.append(revision)
        forget()

    yield add
    monkeypatch.undo()
    forget()
    assert revisions.head() == known
