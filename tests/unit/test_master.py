"""Several workers: what gunicorn is told, and the folder of their metrics."""

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from service.config import METRICS_FOLDER
from service.config.server import ServerSettings
from service.dev.free_ports import LOOPBACK
from service.http.server import workers
from service.http.server.listeners import PortTakenError
from service.http.server.workers import OWN_FOLDER, SPARE_SECONDS, _Master, run


def test_worker_may_take_as_long_as_its_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["slipway", "serve"])
    settings = ServerSettings.model_validate({"drain_delay": 7, "shutdown_timeout": 8.2, "workers": 3})
    with socket.socket() as listener:
        master: Any = _Master(pytest.fail, settings, [listener.fileno()])
        assert master.cfg.workers == 3
        assert 7 + 8.2 < master.cfg.graceful_timeout <= 7 + 8.2 + 6
        assert master.cfg.timeout == master.cfg.graceful_timeout + SPARE_SECONDS


async def test_worker_drains_at_both_signals_of_the_master(monkeypatch: pytest.MonkeyPatch) -> None:
    """gunicorn sends SIGQUIT after Ctrl-C."""
    seen: list[object] = []

    async def serve_on(*_: object, stop_signals: tuple[signal.Signals, ...]) -> None:
        seen.extend(stop_signals)

    monkeypatch.setattr(workers, "serve_on", serve_on)
    worker: Any = object.__new__(workers._Worker)
    worker.wsgi, worker.sockets = (None, ServerSettings()), []
    await worker._serve()
    asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
    assert seen == [signal.SIGTERM, signal.SIGQUIT]


@pytest.mark.parametrize(("name", "is_ours"), [("of-the-operator", False), (f"{OWN_FOLDER}x", True)])
def test_old_metrics_go_at_the_start_and_our_folder_if_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, is_ours: bool
) -> None:
    folder, current = tmp_path / name, f"counter_{os.getpid()}.db"
    folder.mkdir()
    for file in ("counter_1.db", current, "notes"):
        (folder / file).touch()
    monkeypatch.setenv(METRICS_FOLDER, str(folder))
    with socket.create_server((LOOPBACK, 0)) as taken:
        settings = ServerSettings.model_validate({"port": taken.getsockname()[1], "workers": 2})
        with pytest.raises(PortTakenError):
            run(pytest.fail, settings)
    left = [] if is_ours else [current, "notes"]
    assert sorted(file.name for file in tmp_path.rglob("*") if file.is_file()) == left
