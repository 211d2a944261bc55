"""The order service of docs/resources.md, built by following the page."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.conftest import DatabaseFactory
from tests.guide import page
from tests.process.served import SLIPWAY, Served, command_environment, run_command
from tests.shop.door import ROOT


class OrderService(Served):
    """A process of the service, in a checkout that has the page's domain in place of the sample."""

    program = (SLIPWAY,)

    def __init__(self, checkout: Path, url: str) -> None:
        self.checkout, self.url = checkout, url
        shutil.copytree(
            ROOT / "service", checkout / "service", ignore=shutil.ignore_patterns("catalog", "catalog_*")
        )
        page.write(checkout / "service" / "domains")
        self.command(*page.command("migration"))
        self.command("migrate")
        patient = {"acquire_timeout": 20, "lock_timeout": 15, "statement_timeout": 30}
        super().__init__(
            checkout,
            executed=False,
            PYTHONPATH=checkout,
            database__url=url,
            redis__enabled="false",
            **{f"database__{name}": seconds for name, seconds in patient.items()},
        )

    def run(self, *arguments: str) -> CompletedProcess[str]:
        """Run a command of `slipway` in the checkout."""
        variables = command_environment(PYTHONPATH=self.checkout, database__url=self.url)
        return run_command(self.program, arguments, self.checkout, variables)

    def command(self, *arguments: str) -> str:
        """Run a command, which must succeed, and return what it prints."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def service(tmp_path: Path, fresh_database: DatabaseFactory) -> Iterator[OrderService]:
    made = OrderService(tmp_path, fresh_database(migrated=False, shop=False))
    try:
        made.ready()
        yield made
    finally:
        made.close()
