"""tilt/reload.py: the server in the pod of `tilt up`, which restarts when its code changes."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests.tilt.tiltfile import ROOT

RELOAD = ROOT / "tilt" / "reload.py"
RUN = """
import importlib.util, pathlib, sys
found = importlib.util.spec_from_file_location("reload", sys.argv[1])
reload = importlib.util.module_from_spec(found)
found.loader.exec_module(reload)
reload.LIVE, reload.POLL_SECONDS = pathlib.Path(sys.argv[2]), 0.02
sys.exit(reload.main(sys.argv[3:]))
"""
# It says which code it runs, and ends with a code of its own. A broken one does not start.
SERVER = """#!/bin/sh
if grep -q broken live/service/code; then echo "started broken" >>log; exit 1; fi
trap 'echo ended >>log; exit 3' TERM
echo "started $(cat live/service/code)" >>log
while :; do sleep 0.02; done
"""


@pytest.fixture
def reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    found = importlib.util.spec_from_file_location("reload", RELOAD)
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    monkeypatch.setattr(module, "LIVE", tmp_path / "live")
    before = signal.getsignal(signal.SIGTERM)
    yield module
    signal.signal(signal.SIGTERM, before)


@contextmanager
def _run(home: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, "-I", "-S", "-c", RUN, str(RELOAD), str(home / "live"), *command]
    with subprocess.Popen(
        arguments, cwd=home, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        try:
            yield run
        finally:
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)


def _write(file: Path, text: str) -> None:
    """Change a file in one step."""
    new = file.parents[2] / "new"
    new.write_text(text)
    new.replace(file)


def _logged(home: Path, *lines: str) -> bool:
    deadline = time.monotonic() + 30
    while (found := (home / "log").read_text().splitlines() if (home / "log").exists() else []) != [*lines]:
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    return True


def test_server_restarts_with_changed_code_and_ends_with_its_exit_code(tmp_path: Path) -> None:
    code, server = tmp_path / "live" / "service" / "code", tmp_path / "server"
    code.parent.mkdir(parents=True)
    code.write_text("first")
    (tmp_path / "live.unpacked").touch()
    server.write_text(SERVER)
    server.chmod(0o700)
    with _run(tmp_path, "./server", "serve") as run:
        lines = ["started first"]
        assert _logged(tmp_path, *lines)
        code.with_name("code.pyc").touch()  # as the server itself writes them
        _write(code, "broken")
        lines += ["ended", "started broken"]
        assert _logged(tmp_path, *lines)
        _write(code, "second")
        lines += ["started second"]
        assert _logged(tmp_path, *lines)
        run.terminate()
        assert run.wait(30) == 3
        assert run.stdout
        assert run.stdout.read() == "reload: the code has changed\n" * 2 + "reload: ending\n"
    assert _logged(tmp_path, *lines, "ended")


def test_other_commands_run_as_they_are(tmp_path: Path) -> None:
    with _run(tmp_path, "echo", "migrate", "serve") as run:
        assert run.stdout
        assert run.stdout.read() == "migrate serve\n"
    assert list(tmp_path.iterdir()) == []


def test_server_waits_until_all_changes_have_arrived(
    reload: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = tmp_path / "live"
    live.mkdir()
    edits: list[Callable[[], object]] = [
        (live / "x.pyc").touch,  # by the server itself
        lambda: None,
        (live / "a.py").touch,
        (live / "b.py").touch,
        lambda: os.utime(live / "a.py", (1, 1)),
        lambda: None,
    ]
    monkeypatch.setattr(reload, "time", SimpleNamespace(sleep=lambda _: edits.pop(0)()))
    reload.Reloader([])._wait_for_change(reload.state())
    assert edits == []


def test_change_during_a_start_restarts_the_server(
    reload: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "live").mkdir()
    waits, starts = list[float](), list[SimpleNamespace]()

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) > 5:
            signal.raise_signal(signal.SIGTERM)

    def start(_: list[str]) -> SimpleNamespace:
        starts.append(SimpleNamespace(terminate=lambda: None, wait=lambda: 0, returncode=0))
        (tmp_path / "live" / f"{len(starts)}.py").touch()
        return starts[-1]

    monkeypatch.setattr(reload, "time", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(reload, "subprocess", SimpleNamespace(Popen=start))
    assert reload.Reloader(["server"]).run() == 0
    assert len(starts) == 3, "each start takes two looks"


def test_changed_code_survives_a_restart_of_the_container(reload: ModuleType, tmp_path: Path) -> None:
    live = tmp_path / "live" / "service"
    live.mkdir(parents=True)
    (live / "__init__.py").write_text("synced before the start")
    (live / "main.py.part").write_text("of a container that was killed while it copied")
    reload.unpack()
    assert (live / "__init__.py").read_text() == "synced before the start"
    copied = {file.relative_to(live) for file in live.rglob("*.py*")}
    assert copied == {file.relative_to(ROOT / "service") for file in (ROOT / "service").rglob("*.py*")}
    assert (live / "main.py").read_bytes() == (ROOT / "service" / "main.py").read_bytes()
    (live / "main.py").write_text("changed")
    reload.unpack()
    assert (live / "main.py").read_text() == "changed"
    (live / "main.py").unlink()
    reload.unpack()
    assert not (live / "main.py").exists(), "it was removed in the checkout"
