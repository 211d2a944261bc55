"""What gunicorn is told: a worker has the time for its drain and its last requests."""

import socket
from typing import Any

import pytest

from service.config.server import ServerSettings
from service.http.server.workers import SPARE_SECONDS, _Master


def test_worker_may_take_as_long_as_its_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["slipway", "serve"])
    settings = ServerSettings.model_validate({"drain_delay": 7, "shutdown_timeout": 8.2, "workers": 3})
    with socket.socket() as listener:
        master: Any = _Master(pytest.fail, settings, [listener.fileno()])
        assert master.cfg.workers == 3
        assert 7 + 8.2 < master.cfg.graceful_timeout <= 7 + 8.2 + 6
        assert master.cfg.timeout == master.cfg.graceful_timeout + SPARE_SECONDS
