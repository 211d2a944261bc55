"""The order service of docs/resources.md, built by following the page."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.guide import page
from tests.migrations.roles import Roles, roles
from tests.process.served import SLIPWAY, Served, command_environment, run_command
from tests.shop.door import ROOT

__all__ = ["roles"]


@dataclass(frozen=True)
class Checkout:
    """A checkout that has the page's domain in place of the sample, and its database."""

    folder: Path
    url: str

    @property
    def domain(self) -> Path:
        return self.folder / "service" / "domains" / page.DOMAIN

    def run(self, *arguments: str, **settings: object) -> CompletedProcess[str]:
        """Run a command of `slipway` in the checkout."""
        variables = command_environment(**{"PYTHONPATH": self.folder, "database__url": self.url, **settings})
        return run_command((SLIPWAY,), arguments, self.folder, variables)

    def command(self, *arguments: str, **settings: object) -> str:
        """Run a command, which must succeed, and return what it prints."""
        done = self.run(*arguments, **settings)
        assert done.returncode == 0, done.stderr
        return done.stdout


def build(folder: Path, url: str) -> Checkout:
    """Follow the page up to the migrated database."""
    ignored = shutil.ignore_patterns("catalog", "catalog_*")
    shutil.copytree(ROOT / "service", folder / "service", ignore=ignored)
    page.write(folder / "service" / "domains")
    checkout = Checkout(folder, url)
    checkout.command(*page.command('migration orders "Customers'))
    checkout.command("migrate")
    return checkout


class OrderService(Served):
    """A process of the service in the checkout."""

    program = (SLIPWAY,)

    def __init__(self, checkout: Checkout, **settings: object) -> None:
        self.checkout = checkout
        patient = {"acquire_timeout": 20, "lock_timeout": 15, "statement_timeout": 30}
        given = {
            "database__url": checkout.url,
            "redis__enabled": "false",
            **{f"database__{name}": seconds for name, seconds in patient.items()},
            **settings,
        }
        super().__init__(checkout.folder, executed=False, PYTHONPATH=checkout.folder, **given)


@pytest.fixture
def service(tmp_path: Path, roles: Roles) -> Iterator[OrderService]:
    made = OrderService(build(tmp_path / "first", roles.admin_url))
    try:
        made.ready()
        yield made
    finally:
        made.close()
