"""Future versions of the service: copies of the package with more migrations and a changed model."""

import shutil
import subprocess
from pathlib import Path

from service.migrations import branches
from service.migrations.branches import DOMAINS
from tests.process.served import command_environment
from tests.shop.door import PROGRAM, ROOT

REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = {revision!r}, {down!r}, None, None


def upgrade():
    {code}


def downgrade():
    pass
"""
GIFT = """
    gift: bool = Field(
        default=False, sa_column_kwargs={"server_default": "false"}, description="Whether it is wrapped."
    )
"""
EXPAND = """
    op.add_column("tests_article", sa.Column("gift", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.alter_column("tests_article", "attributes", server_default="{}")
"""
CONTRACT = 'op.drop_column("tests_article", "attributes")'


class Version:
    """A folder with a copy of the package and of the shop. A process with the folder on its path runs that version."""

    def __init__(self, folder: Path, *, after: "Version | None" = None) -> None:
        self.folder = folder
        self.head: str | None = after.head if after else branches.head(DOMAINS)
        source = after.folder if after else ROOT
        for package in ("service", "tests/shop"):
            shutil.copytree(source / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "tests" / "__init__.py").touch()

    @property
    def settings(self) -> dict[str, object]:
        """Return the environment variables of a process of this version."""
        return {"PYTHONPATH": str(self.folder)}

    def migration(self, revision: str, code: str) -> "Version":
        """Add a migration after the newest migration of the domains."""
        text = REVISION.format(revision=revision, down=self.head, code=code.strip())
        (self.folder / "service" / DOMAINS.folder / f"{revision}.py").write_text(text)
        self.head = revision
        return self

    def without_attributes_but_gifts(self) -> "Version":
        """Add a field to articles, and remove one that the database still has."""
        models = self.folder / "tests" / "shop" / "models.py"
        text = models.read_text()
        begin, end = text.index("    attributes: dict"), text.index("    shelf_id: UUID")
        models.write_text(text[:begin] + GIFT.lstrip("\n") + text[end:])
        return self

    def migrate(self, home: Path, url: str, *arguments: str, **settings: object) -> "subprocess.Popen[str]":
        """Start `slipway migrate` of this version."""
        home.mkdir(exist_ok=True)
        given = {"database__url": url, **self.settings, **settings}
        return subprocess.Popen(
            [*PROGRAM, "migrate", *arguments],
            cwd=home,
            env=command_environment(**given),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def expanded(folder: Path) -> Version:
    """Return the next version: it has a new field, and no longer knows another."""
    return Version(folder).migration("expand", EXPAND).without_attributes_but_gifts()


def contracted(folder: Path, before: Version) -> Version:
    """Return the version after that, which drops the column."""
    return Version(folder, after=before).migration("contract", CONTRACT)
