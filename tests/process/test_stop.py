"""Shutdown: the process drains, stops gracefully, and exits with code 0."""

import re
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import asyncpg
import httpx2
import pytest

from tests.process.conftest import Serve
from tests.process.served import Served, eventually
from tests.shop.door import ROOT

LIST = "/api/v1/articles?limit=1"
# The import system itself runs such a callback after each import. Python ignores exceptions in it.
SIGTERM_IN_A_CALLBACK = """
import signal, sys, weakref

def at_import(event, arguments):
    if event == "import" and arguments[0] == "service.main":
        lock = Lock()
        reference = weakref.ref(lock, lambda _: signal.raise_signal(signal.SIGTERM))
        del lock

class Lock: pass

sys.addaudithook(at_import)
"""


async def _locked(database_url: str) -> asyncpg.Connection:
    """Lock the table of articles, so that a request waits."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("BEGIN; LOCK TABLE tests_article IN ACCESS EXCLUSIVE MODE")
    return connection


async def test_sigterm_lets_a_slow_request_finish(
    serve: Serve, database_url: str, headers: dict[str, str]
) -> None:
    service = serve(
        server__drain_delay=3, server__shutdown_timeout=10, database__lock_timeout=20,
        database__statement_timeout=20,
    ).ready()  # fmt: skip
    assert "connection" not in service.api.get(LIST, headers=headers).headers
    assert service.metric("slipway_draining") == 0
    holder = await _locked(database_url)
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(httpx2.get, f"{service.api.base_url}{LIST}", headers=headers, timeout=30)
        assert eventually(lambda: _in_progress(service) == 1)
        service.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: service.probe("/readyz") == 503, seconds=2.5)
        assert service.admin.get("/readyz").json()["status"] == "draining"
        assert service.metric("slipway_draining") == 1
        assert service.probe("/livez") == 200
        served = service.api.get("/health")
        assert (served.status_code, served.headers["connection"]) == (503, "close")
        served = service.api.get("/api/v1/shelves?limit=1", headers=headers)
        assert (served.status_code, served.headers["connection"]) == (200, "close")
        assert eventually(lambda: _refused(service), seconds=10)
        assert not slow.done()
        await holder.close()
        assert slow.result(10).status_code == 200
        assert service.process.wait(10) == 0
    assert service.lines(event="draining")
    assert service.lines(event="stopped")


def _in_progress(service: Served) -> float:
    lines = service.admin.get("/metrics").text.splitlines()
    found = [x for x in lines if x.startswith("http_requests_in_progress{") and 'method="GET"' in x]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def _refused(service: Served) -> bool:
    try:
        httpx2.get(f"{service.api.base_url}/health", timeout=2)
    except httpx2.ConnectError:
        return True
    return False


async def test_request_is_aborted_after_the_shutdown_timeout(
    serve: Serve, database_url: str, headers: dict[str, str]
) -> None:
    service = serve(
        server__shutdown_timeout=1, database__lock_timeout=60, database__statement_timeout=60
    ).ready()
    holder = await _locked(database_url)
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(httpx2.get, f"{service.api.base_url}{LIST}", headers=headers, timeout=30)
        assert eventually(lambda: _in_progress(service) == 1)
        assert service.stop(seconds=8) == 0
        await holder.close()
        assert isinstance(slow.exception(5), httpx2.TransportError) or slow.result().status_code >= 500


@pytest.mark.parametrize(("number", "executed"), [(signal.SIGINT, False), (signal.SIGTERM, True)])
def test_idle_process_exits_at_once(serve: Serve, number: signal.Signals, *, executed: bool) -> None:
    service = serve(executed=executed).ready()
    service.process.send_signal(number)
    assert service.process.wait(4) == 0
    drained, stopped = (
        datetime.fromisoformat(line["time"])
        for event in ("draining", "stopped")
        for line in service.lines(event=event)
    )
    assert (stopped - drained).total_seconds() < 2  # no job of its own is waited for


def test_second_signal_ends_the_wait(serve: Serve) -> None:
    service = serve(server__drain_delay=30).ready()
    with httpx2.Client(base_url=service.api.base_url) as idle:
        idle.get("/health")
        service.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: service.lines(event="draining"))
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(4) == 0
    assert service.lines(event="stopped")


def test_sigterm_ends_a_process_during_imports(serve: Serve) -> None:
    """The kernel does not deliver signals to process 1 of a container unless it handles them."""
    # A file that an import is reading at that moment stays open, which is a warning.
    service = serve(executed=True, PYTHONWARNINGS="error,ignore::ResourceWarning")
    status = Path(f"/proc/{service.process.pid}/status")

    def handles() -> bool:
        caught = re.search(r"^SigCgt:\s*(\w+)$", status.read_text(), re.MULTILINE)
        assert caught is not None
        return bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)

    assert eventually(handles)
    assert service.stop(seconds=5) == 128 + signal.SIGTERM
    assert service.output == ""


def test_sigterm_within_an_import_is_not_lost(serve: Serve, tmp_path: Path) -> None:
    patched = tmp_path / "patched"
    patched.mkdir()
    (patched / "sitecustomize.py").write_text(SIGTERM_IN_A_CALLBACK)
    service = serve(executed=True, PYTHONPATH=f"{patched}:{ROOT}")
    assert service.process.wait(15) == 128 + signal.SIGTERM
    assert service.output == ""
