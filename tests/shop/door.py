"""`slipway` with domains of the tests in place of the team's."""

import sys
from pathlib import Path

import service.domains
from service.resources.domain import Domain

ROOT = Path(__file__).parent.parent.parent
PROGRAM = (sys.executable, "-m", "tests.shop")
"""The command line of `slipway` with the shop. Its environment needs PYTHONPATH=ROOT."""


def install(*domains: Domain) -> None:
    """Put domains in place of the team's, for `service.cli.main` to run with in this process.

    `migrate` and `dev` create the shop's tables too. Modules that serve take the domains when they are imported; none
    may be imported by now.
    """
    assert "service.main" not in sys.modules
    service.domains.DOMAINS = domains
    if sys.argv[1:] != ["serve"]:
        _create_tables_too()


def _create_tables_too() -> None:
    """A server does not pass here: Alembic would double the time of its start, and is 15 MB of its memory."""
    from service.migrations import runner  # noqa: PLC0415
    from tests.shop.tables import migrating_with_shop  # noqa: PLC0415

    runner._run = migrating_with_shop(runner._run)
