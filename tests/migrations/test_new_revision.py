"""`slipway migration` writes the file that docs/migrations.md shows."""

import dataclasses
import re
import shlex
from pathlib import Path

import pytest

from service.migrations import branches, runner
from service.migrations.branches import DOMAINS, head, known
from service.resources.domain import Domain
from tests.conftest import DatabaseFactory
from tests.migrations.catalog import EVERYTHING, schema
from tests.migrations.conftest import downgrade, settings_for
from tests.migrations.test_models import Connect
from tests.migrations.writing import remove_domains
from tests.process.conftest import Command
from tests.shop import SHOP
from tests.shop.door import ROOT

PAGE = (ROOT / "docs" / "migrations.md").read_text("utf-8")


@pytest.fixture
def migration(command: Command, package: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs commands with a domain `orders`, which has no migrations yet."""
    monkeypatch.setattr("service.cli.migration.DOMAINS", (Domain("orders"),))
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


async def test_new_tables_of_the_domain_are_created(
    command: Command,
    package: Path,
    monkeypatch: pytest.MonkeyPatch,
    fresh_database: DatabaseFactory,
    connect: Connect,
) -> None:
    """The migration makes what the shop's models say, can be undone, and the next one has nothing left to create."""
    monkeypatch.setattr("service.cli.migration.DOMAINS", (dataclasses.replace(SHOP, name="orders"),))
    before, url = head(DOMAINS) or "base", fresh_database()
    by_models = await schema(await connect(fresh_database(shop=True)), EVERYTHING)
    connection = await connect(url)
    without = await schema(connection, EVERYTHING)
    for message in ("Tables", "Nothing"):
        done = command("migration", "orders", message)
        assert (done.exit_code, done.stderr) == (0, "")
        branches.scripts.cache_clear()
    (nothing,) = (package / "domains" / "migrations").glob("*_nothing.py")
    assert "def upgrade() -> None:\n    pass\n" in nothing.read_text("utf-8")
    await runner.upgrade(settings_for(url))
    assert await schema(connection, EVERYTHING) == by_models
    await downgrade(url, DOMAINS, before)
    assert await schema(connection, EVERYTHING) == without


def test_undeclared_domain_is_refused(migration: Command, package: Path) -> None:
    done = migration("migration", "ordres", "Orders")
    told = "slipway: service/domains has no domain ordres; it has orders\n"
    assert (done.exit_code, done.stderr) == (2, told)
    for broken in 'say "no"', "two\nlines", "":
        assert migration("migration", "orders", broken).exit_code == 2
    assert [*(package / "domains" / "migrations").glob("*.py")] == []
