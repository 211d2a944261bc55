"""Writes the file of a new migration, from script.py.mako."""

import re
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import Script

from service.migrations.branches import DOMAINS, known
from service.migrations.new_tables import operations
from service.migrations.runner import configuration


def write(domain: str, message: str, tables: Sequence[sa.Table] = ()) -> Path:
    """Write the next migration of a domain, which follows the newest of the branch, and return its path.

    It creates those of the tables that no migration creates; without any, it is empty. Its id is the domain's name and
    the next number: `orders_0002`. Raises `ScriptsError` if the migrations contradict each other.
    """
    numbers = [int(match[1]) for one in known(DOMAINS) if (match := re.fullmatch(rf"{domain}_(\d+)", one))]
    revision = f"{domain}_{max(numbers, default=0) + 1:04d}"
    config = configuration(DOMAINS)
    config.attributes["operations"] = operations(tables)
    if find_spec("ruff"):
        _format_with_ruff(config)
    with redirect_stdout(StringIO()):  # Alembic reports its progress
        made = command.revision(config, message.rstrip("."), rev_id=revision)
    assert isinstance(made, Script)
    return Path(made.path)


def _format_with_ruff(config: Config) -> None:
    """Let Alembic run `ruff format` on the file, as `make format` would."""
    hook = {"hooks": "ruff", "ruff.type": "module", "ruff.module": "ruff"}
    hook["ruff.options"] = "format --quiet REVISION_SCRIPT_FILENAME"
    for name, value in hook.items():
        config.set_section_option("post_write_hooks", name, value)
