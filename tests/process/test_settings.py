"""Every setting changes something in a started process. See tests/process/settings/table.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import tests.process.settings as _rows  # noqa: F401  # importing it fills the table
from tests.conftest import DatabaseFactory
from tests.process.settings.background import Background
from tests.process.settings.table import PROCESSES, ROWS, Place, started


@pytest.fixture
def place(tmp_path: Path, fresh_database: DatabaseFactory) -> Iterator[Place]:
    """Around one process: a database of its own, and what else it needs."""
    background = Background()
    place = Place(tmp_path, background, fresh_database())
    yield place
    for close in reversed(place.closing):
        close()
    background.close()


@pytest.mark.parametrize("process", PROCESSES)
def test_effect_of_every_setting_is_seen(process: str, place: Place, subtests: pytest.Subtests) -> None:
    run = started(process, place)
    for row in (row for row in ROWS.values() if row.process == process):
        with subtests.test(setting=row.setting):
            row.probe(run)


@pytest.mark.long
@pytest.mark.parametrize("setting", ROWS)
def test_probe_sees_when_a_setting_is_left_out(setting: str, place: Place) -> None:
    row = ROWS[setting]
    with pytest.raises(BaseException) as caught:  # it may not even start
        row.probe(started(row.process, place, without=setting))
    assert not isinstance(caught.value, KeyboardInterrupt)
