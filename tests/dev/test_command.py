"""What `slipway dev` does around the service: its log, its banner and its end."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog

from service.cli import dev
from service.config import Settings
from service.dev.errors import LocalServerError
from service.http.server.lifecycle import Lifecycle
from tests.ports import next_port
from tests.process.conftest import Command, command

__all__ = ["command"]


@pytest.mark.parametrize("number", dev.SIGNALS)
def test_log_is_there_before_the_servers_and_signals_wait_for_their_end(
    command: Command, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    ended = list[signal.Signals]()

    @contextmanager
    def servers(*_: object) -> Iterator[Settings]:
        structlog.get_logger("of the servers").info("below the level")
        try:
            yield Settings()
        finally:
            signal.raise_signal(number)
            ended.append(number)

    async def fails(*_: object) -> None:
        raise LocalServerError("no space")

    monkeypatch.setattr(dev, "embedded_servers", servers)
    monkeypatch.setattr(dev, "set_up_database", fails)
    ports = {"PORT": next_port(), "ADMIN_PORT": next_port()}
    done = command("dev", logging__level="error", **ports)
    assert (done.exit_code, ended) == (4, [number]), done.output
    assert (done.stdout, done.stderr) == ("", "slipway: stopping\nslipway: no space\n")


async def test_banner_is_printed_when_the_service_has_started(capsys: pytest.CaptureFixture[str]) -> None:
    lifecycle = Lifecycle()
    greeting = asyncio.create_task(dev._greet(lifecycle, "welcome"))
    await asyncio.sleep(0)
    assert capsys.readouterr().out == ""
    lifecycle.started = True
    await greeting
    assert capsys.readouterr().out == "welcome\n"
