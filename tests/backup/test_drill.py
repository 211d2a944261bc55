"""`slipway backup drill`, against a real server."""

import json

import pytest

from service.dev.free_ports import LOOPBACK
from tests.backup.conftest import Backup, name_of, renamed, sql
from tests.ports import next_port

RUNS = "SELECT kind, ok, backup, size, storage_free, storage_size, detail FROM backup_run ORDER BY ended_at"
LEFT = "SELECT datname FROM pg_database WHERE starts_with(datname, $1 || '_drill_')"


pytestmark = pytest.mark.usefixtures("shop_serves")


def test_drill_restores_serves_and_leaves_nothing(backup: Backup, filled: str) -> None:
    name = name_of(filled)
    gone = f"{name}_gone"
    sql(filled, f"CREATE ROLE {gone}")
    sql(filled, f"GRANT SELECT ON tests_shelf TO {gone}")
    made = backup("create").stdout.strip()
    sql(filled, f"DROP OWNED BY {gone}")
    sql(filled, f"DROP ROLE {gone}")
    sql(renamed(filled, "postgres"), f"CREATE DATABASE {name}_drill_00000000")  # of a killed drill
    # What would refuse the drill's requests, or delay them, is left out.
    refusing = {"security__trusted_hosts": "api.example", "rate_limit__requests": 1}
    redis = {"redis__enabled": "true", "redis__url": f"redis://{LOOPBACK}:{next_port()}/0"}
    done = backup("drill", "--json", **refusing, **redis)
    assert done.exit_code == 0, done.output
    assert "redis" not in done.stderr.lower()
    assert "roles do not exist" not in done.stderr, "nobody uses that database"
    drilled = json.loads(done.stdout)
    assert drilled["id"] == made
    assert 0 < drilled["drill_seconds"] == round(drilled["drill_seconds"], 3)
    assert not sql(filled, LEFT, name)
    assert not sql(filled, "SELECT 1 FROM api_key")
    runs = [tuple(row) for row in sql(filled, RUNS)]
    assert [run[:3] for run in runs] == [("create", True, made), ("drill", True, made)]
    assert runs[0][3] > 0 < runs[0][4] < runs[0][5]


@pytest.mark.long
def test_drill_fails_if_the_service_cannot_serve_what_was_restored(
    backup: Backup, filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.cli.smoke_test.READY_SECONDS", 1)
    sql(filled, "DROP TRIGGER tests_shelf_history ON tests_shelf")
    assert backup("create").exit_code == 0
    done = backup("drill")
    assert done.exit_code == 1
    assert "table tests_shelf has no row history trigger" in done.stderr
    assert not sql(filled, LEFT, name_of(filled))
