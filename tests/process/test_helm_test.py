"""The script that `helm test` runs, against a real service."""

import subprocess
import sys
from pathlib import Path

from service import __version__
from service.migrations.revisions import heads
from tests.ports import next_port
from tests.process.conftest import Serve
from tests.process.served import Served

SCRIPT = (Path(__file__).parents[2] / "chart" / "files" / "test.py").read_text("utf-8")


def _run(public: int, admin: int, script: str = SCRIPT) -> subprocess.CompletedProcess[str]:
    where = [f"http://127.0.0.1:{port}" for port in (public, admin)]
    return subprocess.run(
        [sys.executable, "-c", script, *where], capture_output=True, text=True, timeout=90, check=False
    )


def test_healthy_release_passes(shared: Served) -> None:
    done = _run(shared.port, shared.admin_port)
    assert done.returncode == 0, done.stderr
    assert f"version {__version__}, database at revision {heads()}, ready" in done.stdout


def test_faulty_release_is_reported(shared: Served) -> None:
    hasty = SCRIPT.replace("SECONDS = 60", "SECONDS = 2")
    assert hasty != SCRIPT
    nobody = _run(next_port(), shared.admin_port, hasty)
    assert nobody.returncode == 1
    assert "/health should answer 200, not URLError" in nobody.stderr
    stranger = _run(shared.port, shared.port, hasty)
    assert stranger.returncode == 1
    assert "/readyz should answer 200, not 404" in stranger.stderr


def test_release_with_trusted_hosts_passes(serve: Serve) -> None:
    service = serve(security__trusted_hosts='["api.example.com"]', redis__enabled="false").ready()
    done = _run(service.port, service.admin_port)
    assert done.returncode == 0, done.stderr
    assert "/api/v1/keys answers 400" in done.stdout
