"""Which backups `slipway backup prune` keeps."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.backup.manifest import Header
from service.backup.retention import to_keep
from service.config import BackupSettings
from tests.backup.conftest import Backup, sql
from tests.backup.test_verify import flip

NEWEST = datetime(2026, 3, 31, 2, tzinfo=UTC)
ONLY_LAST = {"keep_daily": 0, "keep_weekly": 0, "keep_monthly": 0}
RULES = {f"backup__{name}": "0" for name in ONLY_LAST}
RUNS = "SELECT 1 FROM backup_run WHERE kind = 'prune'"


def made(age_hours: float) -> Header:
    at = NEWEST - timedelta(hours=age_hours)
    return Header(
        format=1, service="slipway", id=f"{at:%Y-%m-%dT%H}", created_at=at, size=1, parts=1, sealed=None
    )


@pytest.mark.parametrize(
    ("rules", "hours", "kept"),
    [
        ({"keep_last": 2}, [0, 6, 12, 18], [0, 6]),
        ({"keep_last": 1, "keep_days": 1}, [0, 12, 24, 25], [0, 12, 24]),
        ({"keep_last": 1, "keep_daily": 2}, [0, 1, 24, 30, 72], [0, 24]),
        ({"keep_last": 1, "keep_weekly": 2}, [0, 24, 48, 72, 240], [0, 48]),  # 2026-03-31 is a Tuesday
        ({"keep_last": 1, "keep_monthly": 3}, [0, 24, 31 * 24, 62 * 24, 95 * 24], [0, 31 * 24, 62 * 24]),
        ({"keep_last": 3}, [0], [0]),
        ({"keep_last": 3}, [], []),
    ],
)
def test_rules(rules: dict[str, int], hours: list[float], kept: list[float]) -> None:
    settings = BackupSettings.model_validate({**ONLY_LAST, **rules})
    found = to_keep([made(age) for age in hours], settings)
    assert found == {made(age).id for age in kept}


def test_backup_from_the_future_does_not_delete_the_others() -> None:
    settings = BackupSettings.model_validate({**ONLY_LAST, "keep_daily": 7})
    ages = [-24 * 365 * 50, 0, 24, 48]
    assert to_keep([made(age) for age in ages], settings) == {made(age).id for age in ages}


def test_prune_deletes_what_no_rule_keeps(backup: Backup, filled: str, storage: Path) -> None:
    ids = [backup("create").stdout.strip() for _ in range(3)]
    (storage / "notes.txt").write_text("not a backup")
    dry = backup("prune", "--dry-run", "--json", backup__keep_last=1, **RULES)
    kept = json.loads(dry.stdout)["kept"]
    assert len(kept) == 1
    assert {path.name for path in storage.iterdir()} == {*ids, "notes.txt"}
    assert not sql(filled, RUNS)
    done = backup("prune", backup__keep_last=1, **RULES)
    assert done.exit_code == 0, done.output
    assert {path.name for path in storage.iterdir()} == {*kept, "notes.txt"}
    assert len(sql(filled, RUNS)) == 1
    assert backup("verify").exit_code == 0


@pytest.mark.long
def test_nothing_is_deleted_unless_a_good_backup_stays(backup: Backup, storage: Path) -> None:
    for _ in range(2):
        assert backup("create").exit_code == 0
    kept = json.loads(backup("prune", "--dry-run", "--json", backup__keep_last=1, **RULES).stdout)["kept"]
    part = storage / kept[0] / "part-000001"
    part.write_bytes(flip(part.read_bytes(), 0.5))
    done = backup("prune", backup__keep_last=1, **RULES)
    assert done.exit_code == 8
    assert "nothing was deleted" in done.stderr
    assert len([*storage.iterdir()]) == 2


@pytest.mark.long
def test_damaged_backups_do_not_count_and_stay(backup: Backup, storage: Path) -> None:
    older = [backup("create").stdout.strip() for _ in range(2)]
    damaged = backup("create").stdout.strip()
    (storage / damaged / "part-000001").unlink()
    done = backup("prune", "--json", backup__keep_last=1, **RULES)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["damaged"] == [damaged]
    assert sorted([*result["kept"], *result["deleted"]]) == sorted(older)
    assert len(result["kept"]) == 1
