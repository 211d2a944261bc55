"""Settings of `slipway backup`."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.backup.create_backup import create
from service.backup.manifest import MANIFEST, Body, Header, Manifest, pack
from service.backup.progress import Progress
from service.backup.retention import to_keep
from service.backup.storage.folder import FolderStorage
from service.config import BackupSettings, Settings
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
    for name, other in (("last", {"backup__keep_days": 0}), ("others", {"backup__keep_last": 1})):
        dry = slipway(setup.home, "backup", "prune", "--dry-run", "--json", **{**given, **other})
        assert dry.returncode == 0, dry.stderr
        setup.servers[name] = json.loads(dry.stdout)["kept"]
    return None  # type: ignore[return-value]  # nothing to talk to


@process("backup", back_up)
def prepared(setup: Setup) -> Given:
    calls = setup.servers["calls"] = setup.home / "calls"
    setup.servers["clients"] = folder = setup.home / "clients"
    folder.mkdir()
    for name in ("pg_dump", "pg_restore"):
        _wrap(folder / name, bundled_clients()[0] / name, calls)
    for header in AGED:
        folder = setup.home / "backups" / header.id
        folder.mkdir(parents=True)
        (folder / MANIFEST).write_bytes(pack(Manifest(header=header, body=NOTHING), None))
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
def dump_has_this_compression(run: Running) -> None:
    assert "--compress=0" in run.setup.servers["calls"].read_text()


@setting("backup__client_folder", lambda setup: setup.servers["clients"], process="backup")
def programs_of_the_folder_are_used(run: Running) -> None:
    assert str(run.setup.servers["clients"]) in run.setup.servers["calls"].read_text()


NEWEST = datetime(2090, 3, 31, 12, tzinfo=UTC)  # newer than what the process makes


def _header(hours: int) -> Header:
    at = NEWEST - timedelta(hours=hours)
    backup = f"{at:%Y%m%dT%H%M%SZ}-00000000"
    return Header(format=1, service="slipway", id=backup, created_at=at, size=0, parts=0, sealed=None)


AGED = [_header(hours) for hours in (*range(13), *range(24, 24 * 230, 24), 24 * 2 - 1)]
NOTHING = Body(
    version="0",
    server="18",
    server_major=18,
    client="",
    database="",
    revisions={},
    roles=[],
    tables=[],
    parts=[],
    seconds=0,
)
RULES = {"keep_last": 5, "keep_days": 2, "keep_daily": 8, "keep_weekly": 5, "keep_monthly": 7}


def only_by(rule: str, **rules: int) -> str:
    """Return a backup that is kept with the rule, and not with its default."""
    with_rule = {**RULES, **rules}
    without = {name: value for name, value in with_rule.items() if name != rule}
    return min(
        to_keep(AGED, BackupSettings.model_validate(with_rule))
        - to_keep(AGED, BackupSettings.model_validate(without))
    )


@setting("backup__keep_last", RULES["keep_last"], process="backup")
def newest_are_kept(run: Running) -> None:
    assert only_by("keep_last", keep_days=0) in run.setup.servers["last"]


@setting("backup__keep_days", RULES["keep_days"], process="backup")
def young_ones_are_kept(run: Running) -> None:
    assert only_by("keep_days", keep_last=1) in run.setup.servers["others"]


@setting("backup__keep_daily", RULES["keep_daily"], process="backup")
def one_of_each_day_is_kept(run: Running) -> None:
    assert only_by("keep_daily", keep_last=1) in run.setup.servers["others"]


@setting("backup__keep_weekly", RULES["keep_weekly"], process="backup")
def one_of_each_week_is_kept(run: Running) -> None:
    assert only_by("keep_weekly", keep_last=1) in run.setup.servers["others"]


@setting("backup__keep_monthly", RULES["keep_monthly"], process="backup")
def one_of_each_month_is_kept(run: Running) -> None:
    assert only_by("keep_monthly", keep_last=1) in run.setup.servers["others"]
