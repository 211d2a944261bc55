"""Settings of `slipway backup`."""

import json
from pathlib import Path

from service.backup.create_backup import create
from service.backup.progress import Progress
from service.backup.storage.folder import FolderStorage
from service.config import Settings
from service.dev.binaries import bundled_clients
from tests.backup.conftest import KEY, OTHER_KEY
from tests.process.served import Served, slipway
from tests.process.settings.table import Given, Running, Setup, process, setting


def back_up(setup: Setup, given: Given) -> Served:
    """Run `create`, and `verify` on a backup that another key sealed."""
    storage = FolderStorage(setup.home / "backups")
    older = Settings.model_validate(
        {
            "database": {"url": setup.database_url},
            "backup": {"key": OTHER_KEY},
            "app": {"environment": "test"},
        }
    )
    first = setup.background.run(create(older, storage, Progress(print), bundled=bundled_clients()))
    done = slipway(setup.home, "backup", "create", "--json", **given)
    assert done.returncode == 0, done.stderr
    setup.servers["made"] = json.loads(done.stdout)
    setup.servers["verified"] = slipway(setup.home, "backup", "verify", first.header.id, **given)
    return None  # type: ignore[return-value]  # nothing to talk to


@process("backup", back_up)
def prepared(setup: Setup) -> Given:
    calls = setup.servers["calls"] = setup.home / "calls"
    setup.servers["clients"] = folder = setup.home / "clients"
    folder.mkdir()
    for name in ("pg_dump", "pg_restore"):
        _wrap(folder / name, bundled_clients()[0] / name, calls)
    return {"database__url": setup.database_url}


def _wrap(wrapper: Path, program: Path, calls: Path) -> None:
    """Write a program that notes its arguments and runs the real one."""
    wrapper.write_text(f'#!/bin/sh\necho "$0 $*" >> {calls}\nexec {program} "$@"\n')
    wrapper.chmod(0o755)


@setting("backup__storage", lambda setup: setup.home / "backups", process="backup")
def backups_are_in_the_folder(run: Running) -> None:
    made = run.setup.servers["made"]
    assert (run.setup.home / "backups" / made["id"] / "manifest.json").exists()


@setting("backup__key", KEY, process="backup")
def backups_are_sealed(run: Running) -> None:
    assert run.setup.servers["made"]["sealed"] is not None


@setting("backup__old_keys", OTHER_KEY, process="backup")
def older_backups_stay_readable(run: Running) -> None:
    assert run.setup.servers["verified"].returncode == 0, run.setup.servers["verified"].stderr


@setting("backup__compression", "none", process="backup")
def dump_is_compressed_as_told(run: Running) -> None:
    assert "--compress=none" in run.setup.servers["calls"].read_text()


@setting("backup__client_folder", lambda setup: setup.servers["clients"], process="backup")
def programs_of_the_folder_are_used(run: Running) -> None:
    assert str(run.setup.servers["clients"]) in run.setup.servers["calls"].read_text()
