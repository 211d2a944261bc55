"""Every setting has an effect in a started process. See tests/process/settings/table.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import tests.process.settings as _rows  # noqa: F401  # importing it fills the table
from tests.conftest import DatabaseFactory
from tests.process import served
from tests.process.settings.background import Background
from tests.process.settings.table import PROCESSES, ROWS, Setup, started


@pytest.fixture
def setup(tmp_path: Path, fresh_database: DatabaseFactory) -> Iterator[Setup]:
    """The setup of a process: a database, and whatever else it needs."""
    background = Background()
    setup = Setup(tmp_path, background, fresh_database())
    yield setup
    for close in reversed(setup.closing):
        close()
    background.close()


@pytest.mark.parametrize("process", PROCESSES)
def test_effect_of_every_setting_is_observable(process: str, setup: Setup, subtests: pytest.Subtests) -> None:
    run = started(process, setup)
    for row in (row for row in ROWS.values() if row.process == process):
        with subtests.test(setting=row.setting):
            row.probe(run)


@pytest.mark.long
@pytest.mark.parametrize("setting", ROWS)
def test_probe_fails_if_a_setting_is_omitted(
    setting: str, setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "START_SECONDS", 20)  # without its database it never becomes ready
    monkeypatch.setattr(served, "COMMAND_SECONDS", 20)  # without its storage a command tries for longer
    row = ROWS[setting]
    with pytest.raises(BaseException) as caught:  # the process may not even start
        row.probe(started(row.process, setup, without=setting))
    assert not isinstance(caught.value, KeyboardInterrupt)
