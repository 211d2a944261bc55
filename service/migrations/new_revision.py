"""Writes the file of a new migration, from script.py.mako."""

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from alembic import command
from alembic.script import Script

from service.migrations.branches import DOMAINS, known
from service.migrations.runner import configuration


def write(domain: str, message: str) -> Path:
    """Write the next migration of a domain, which follows the newest of the branch, and return its path.

    Its id is the domain's name and the next number: `orders_0002`. Raises `ScriptsError` if the migrations contradict
    each other.
    """
    numbers = [int(match[1]) for one in known(DOMAINS) if (match := re.fullmatch(rf"{domain}_(\d+)", one))]
    revision = f"{domain}_{max(numbers, default=0) + 1:04d}"
    with redirect_stdout(StringIO()):  # Alembic reports its progress
        made = command.revision(configuration(DOMAINS), message.rstrip("."), rev_id=revision)
    assert isinstance(made, Script)
    return Path(made.path)
