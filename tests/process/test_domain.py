"""A domain in a started process: its settings, seed, routes, resources and jobs."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import DatabaseFactory
from tests.process.conftest import new_key
from tests.process.served import Served, command_environment, eventually, run_command

PROGRAM = (sys.executable, "-m", "tests.process.errands")


class Shop(Served):
    program = PROGRAM


def shop(home: Path, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return run_command(PROGRAM, arguments, home, command_environment(**settings))


@pytest.fixture
def url(fresh_database: DatabaseFactory) -> str:
    return fresh_database()


@pytest.fixture
def served(url: str, tmp_path: Path) -> Iterator[Served]:
    given = {"redis__enabled": "false", "shop__every": "0.1", "shop__greeting": "good day"}
    service = Shop(tmp_path / "shop", database__url=url, **given)
    yield service
    service.close()


def test_domain_settings_work_like_other_groups(tmp_path: Path) -> None:
    (tmp_path / "secrets" / "shop").mkdir(parents=True)
    (tmp_path / "secrets" / "shop" / "token").write_text("hush")
    given = {"database__password": "x", "SLIPWAY_SECRETS_DIR": tmp_path / "secrets"}
    good = shop(tmp_path, "check", **given, shop__greeting="good day")
    assert good.returncode == 0, good.stderr
    own = [line for line in good.stdout.splitlines() if line.startswith("SLIPWAY_SHOP__")]
    assert own == [
        "SLIPWAY_SHOP__GREETING=good day",
        "SLIPWAY_SHOP__EVERY=30.0",
        "SLIPWAY_SHOP__COUNT_EVERY=3600.0",
        "SLIPWAY_SHOP__COUNT_TAKES=0.0",
        "SLIPWAY_SHOP__COUNT_DEADLINE=300.0",
        "SLIPWAY_SHOP__TOKEN=********",
    ]
    bad = shop(tmp_path, "check", **given, shop__every="0", shop__greting="x", shops__every="1")
    assert bad.returncode == 3
    assert bad.stderr.splitlines() == [
        "slipway: SLIPWAY_SHOPS__EVERY: there is no such setting",
        "slipway: SLIPWAY_SHOP__GRETING: there is no such setting",
        "slipway: SLIPWAY_SHOP__EVERY: must be a number, over 0, at most 60",
    ]


async def test_domain_is_seeded_and_served(served: Served, url: str, tmp_path: Path) -> None:
    seeded = [shop(tmp_path, "seed", database__url=url).stdout for _ in range(2)]
    assert seeded == ["shop: added 1 shelf and 50 articles\n", "shop: nothing to add\n"]
    service = served.ready()
    headers = {"Authorization": f"Bearer {await new_key(url, 'shop:read')}"}
    assert service.api.get("/api/v1/greeting", headers=headers).status_code == 403
    guest = {"Authorization": f"Bearer {await new_key(url, 'shop:greet')}"}
    assert service.api.get("/api/v1/greeting", headers=guest).json() == {"greeting": "good day"}

    def listed() -> list[str]:
        items = service.api.get("/api/v1/shelves?sort=name", headers=headers).json()["items"]
        return [item["slug"] for item in items]

    assert eventually(lambda: listed() == ["delivered", "seeded"]), listed()
    (delivered,) = service.api.get("/api/v1/shelves?slug=delivered", headers=headers).json()["items"]
    history = service.api.get(f"/api/v1/shelves/{delivered['id']}/history", headers=headers).json()["items"]
    assert [change["actor"] for change in history] == ["job:deliver"]
    assert service.stop() == 0
