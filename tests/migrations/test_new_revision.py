"""`slipway migration` writes the file that docs/migrations.md shows."""

import dataclasses
import re
import shlex
from pathlib import Path

import pytest

from service.migrations import branches
from service.migrations.branches import DOMAINS, known
from tests.migrations.writing import remove_domains
from tests.process.conftest import Command
from tests.shop import SHOP
from tests.shop.door import ROOT

PAGE = (ROOT / "docs" / "migrations.md").read_text("utf-8")


@pytest.fixture
def migration(command: Command, package: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs commands with a domain `orders`, which has no migrations yet."""
    monkeypatch.setattr("service.cli.migration.DOMAINS", (dataclasses.replace(SHOP, name="orders"),))
    remove_domains(package)
    return command


def test_documented_command_writes_the_documented_file(migration: Command, package: Path) -> None:
    assert migration("migration", "orders", "Orders.").exit_code == 0
    branches.scripts.cache_clear()
    (documented,) = re.findall(r"^slipway (migration .*)$", PAGE, re.MULTILINE)
    done = migration(*shlex.split(documented))
    made = package / "domains" / "migrations" / "orders_0002_orders_may_be_gifts.py"
    assert (done.exit_code, done.output) == (0, f"{made}\n")
    branches.scripts.cache_clear()
    assert known(DOMAINS) == ("orders_0001", "orders_0002")
    (shown,) = re.findall(r'```python\n("""Orders may be gifts.*?)```', PAGE, re.DOTALL)
    filled = re.sub(r"(?<=None:\n)    .*", "    pass", shown)
    assert made.read_text("utf-8") == filled


def test_undeclared_domain_is_refused(migration: Command, package: Path) -> None:
    done = migration("migration", "ordres", "Orders")
    told = "slipway: service/domains has no domain ordres; it has orders\n"
    assert (done.exit_code, done.stderr) == (2, told)
    for broken in 'say "no"', "two\nlines", "":
        assert migration("migration", "orders", broken).exit_code == 2
    assert [*(package / "domains" / "migrations").glob("*.py")] == []
