"""Writes the files of new migrations, from script.py.mako."""

import re
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import Script

from service.migrations.branches import DOMAINS, known
from service.migrations.revision_body import Body
from service.migrations.runner import configuration


def write(domain: str, message: str, bodies: Sequence[Body] = ()) -> list[Path]:
    """Write the next migrations of a domain, which follow the newest of the branch, and return their paths.

    Without bodies, it is one that does nothing. Ids are the domain's name and the next number: `orders_0002`. Raises
    `ScriptsError` if the migrations contradict each other.
    """
    numbers = [int(match[1]) for one in known(DOMAINS) if (match := re.fullmatch(rf"{domain}_(\d+)", one))]
    number = max(numbers, default=0)
    message = message.rstrip(".")
    return [
        _write(f"{domain}_{number + place:04d}", f"{message}: {body.title}" if place > 1 else message, body)
        for place, body in enumerate(bodies or [Body()], start=1)
    ]


def _write(revision: str, message: str, body: Body) -> Path:
    config = configuration(DOMAINS)
    config.attributes["code"] = body.code
    if find_spec("ruff"):
        _format_with_ruff(config)
    with redirect_stdout(StringIO()):  # Alembic reports its progress
        made = command.revision(config, message, rev_id=revision)
    assert isinstance(made, Script)
    return Path(made.path)


def _format_with_ruff(config: Config) -> None:
    """Let Alembic run `ruff format` on the file, as `make format` would."""
    hook = {"hooks": "ruff", "ruff.type": "module", "ruff.module": "ruff"}
    hook["ruff.options"] = "format --quiet REVISION_SCRIPT_FILENAME"
    for name, value in hook.items():
        config.set_section_option("post_write_hooks", name, value)
