"""A backup that is ended midway leaves nothing that looks like a backup."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.backup.conftest import BULK, KEY, Backup, sql
from tests.process.served import command_environment, eventually
from tests.shop.door import PROGRAM


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_ended_midway(
    number: signal.Signals, backup: Backup, filled: str, storage: Path, tmp_path: Path
) -> None:
    sql(filled, BULK.format(mib=64))  # four parts
    settings = command_environment(database__url=filled, backup__storage=storage, backup__key=KEY)
    process = subprocess.Popen(
        [*PROGRAM, "backup", "create"], cwd=tmp_path, env=settings, start_new_session=True
    )
    try:
        assert eventually(lambda: [*storage.rglob("part-000001")], seconds=60)
        process.send_signal(number)
        process.wait(20)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == (143 if number == signal.SIGTERM else -9)
    assert not [*storage.rglob("manifest.json")]
    assert json.loads(backup("list", "--json").stdout) == []
    if number == signal.SIGTERM:
        assert not [*storage.iterdir()]
    ours = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    assert eventually(lambda: not sql(filled, ours)), "its connections are still open"
    assert backup("create").exit_code == 0
    assert backup("verify").exit_code == 0
