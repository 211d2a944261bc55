"""What `slipway dev` changes: it starts only the servers that the settings do not name, on ports that are free."""

import sys
from pathlib import Path
from typing import Any

import pytest

from service.config import Settings
from service.dev.errors import PortInUseError
from service.dev.private_files import read_secret
from service.dev.servers import check_ports, development_arguments, embedded_servers
from tests.dev.help import listening
from tests.ports import next_port
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


GIVEN: dict[str, str] = {
    "SLIPWAY_SERVER__DRAIN_DELAY": "7",
    "SLIPWAY_SECURITY__SECRET_KEY": "a secret key that somebody has chosen",
}


@pytest.mark.parametrize("given", [{}, GIVEN], ids=["nothing", "all"])
def test_development_changes_what_is_not_given(env: Env, tmp_path: Path, given: dict[str, str]) -> None:
    env(**given)
    found = development_arguments(Settings, tmp_path, port=1234, admin_port=None)
    assert found == development_arguments(Settings, tmp_path, port=1234, admin_port=None)
    assert found.pop("app") == {"environment": "development"}
    ports = {"port": 1234}
    assert found == (
        {"server": ports}
        if given
        else {
            "server": {"drain_delay": 0.0, **ports},
            "security": {"secret_key": read_secret(tmp_path / "secret_key")},
        }
    )


def test_ports_of_the_service_are_free_and_differ() -> None:
    def check(**server: Any) -> None:
        check_ports(Settings.model_validate({"app": {"environment": "test"}, "server": server}))

    free = next_port()
    with listening() as taken:
        here = {"host": "127.0.0.1", "admin_host": "127.0.0.1"}
        check(port=free, admin_port=next_port(), **here)
        if sys.platform == "linux":  # others have one address of loopback
            check(port=taken, admin_port=free, **{**here, "host": "127.0.0.2"})
        with pytest.raises(PortInUseError, match=f"^port {free} cannot be both"):
            check(port=free, admin_port=free, **here)
        with pytest.raises(PortInUseError, match=f"^port {taken} is in use on 127.0.0.1: .* set PORT= "):
            check(port=taken, admin_port=free, **here)
        with pytest.raises(PortInUseError, match=f"^port {taken} is in use on 127.0.0.1: .* ADMIN_PORT= "):
            check(port=free, admin_port=taken, **here)
