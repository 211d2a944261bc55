"""`slipway dev` starts only the servers that the settings do not name."""

from pathlib import Path

import pytest

from service.config import Settings
from service.dev.servers import embedded_servers
from tests.unit.conftest import Env


@pytest.mark.parametrize(
    "database",
    [{"SLIPWAY_DATABASE__URL": "postgresql://db.example/shop"}, {"SLIPWAY_DATABASE__HOST": "db.example"}],
)
@pytest.mark.parametrize(
    "redis",
    [
        {"SLIPWAY_REDIS__ENABLED": "false"},
        {"SLIPWAY_REDIS__URL": "redis://cache.example/0"},
        {"SLIPWAY_REDIS__HOST": "cache.example"},
        {
            "SLIPWAY_REDIS__SENTINELS": "sentinel.example:26379",
            "SLIPWAY_REDIS__SENTINEL_MASTER": "shop",
        },
    ],
)
def test_named_servers_are_used(
    env: Env, tmp_path: Path, database: dict[str, str], redis: dict[str, str]
) -> None:
    env(SLIPWAY_APP__ENVIRONMENT="test", **database, **redis)
    reported: list[str] = []
    with embedded_servers(Settings, tmp_path, {}, reported.append) as settings:
        assert settings == Settings()
    assert (reported, list(tmp_path.iterdir())) == ([], [])
