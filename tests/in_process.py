"""What a process needs that runs tests, and so imports the service: settings of its own, and fixtures of the service.

The controller of pytest-xdist runs no test, and starts its workers two seconds sooner without these imports.
"""

from functools import partial

import pytest

from service.config import Settings
from service.main import create_app
from service.migrations import runner
from tests.isolation import (
    assume_asyncio,
    forget_settings,
    keep_no_loggers,
    log_plainly,
    read_authorities_once,
    read_revisions_once,
)
from tests.shop import SHOP
from tests.shop.tables import migrating_with_shop


def pytest_configure() -> None:
    forget_settings()
    read_authorities_once()
    read_revisions_once()
    assume_asyncio()
    keep_no_loggers()
    log_plainly()


@pytest.fixture(scope="session")
def settings_class() -> type[Settings]:
    """The settings of the application in this process. Domains that have settings override this."""
    return Settings


@pytest.fixture
def shop_migrates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Migrations that run in this process create the tables of the shop too."""
    monkeypatch.setattr(runner, "_run", migrating_with_shop(runner._run))


@pytest.fixture
def shop_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that run in this process have the shop among their domains."""
    for module in ("features", "history", "importing", "seed"):
        monkeypatch.setattr(f"service.cli.{module}.DOMAINS", (SHOP,))
    monkeypatch.setattr("service.cli.keys.create_app", partial(create_app, domains=(SHOP,)))
