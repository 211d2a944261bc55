"""The pictures show values as Grafana does: decimals, mappings and thresholds of the panel."""

from typing import Any

import pytest

from tests.observability.boards import BOARDS
from tests.observability.units import COLORS, shown

STATS = {
    panel["title"]: panel["fieldConfig"]["defaults"]
    for board in BOARDS.values()
    for panel in board["panels"]
    if panel["type"] == "stat"
}


@pytest.mark.parametrize(
    ("title", "value", "text", "color"),
    [
        ("Failed", 0.0004, "0.04 %", "green"),
        ("Failed", 0.005, "0.50 %", "orange"),
        ("Failed", 0.01, "1.00 %", "red"),
        ("Restarts", 1.2, "1", "orange"),
        ("PostgreSQL", 0, "down", "red"),
        ("PostgreSQL", 1, "up", "green"),
        ("Schema", 1, "pending", "red"),
        ("Redis", 0, "down", "orange"),
        ("Last drill", 1, "good", "green"),
        ("Last backup", 7200, "2 h", "green"),
        ("Last backup", 100_000, "1.16 days", "orange"),
        ("Storage in use", 0.9, "90 %", "red"),
        ("Size of the last backup", 54_000, "52.7 KiB", "green"),
        ("Requests", 1234, "1.23 k/s", "green"),
    ],
)
def test_value_is_shown_as_in_grafana(title: str, value: float, text: str, color: str) -> None:
    assert shown(value, STATS[title]) == (text, COLORS[color])


@pytest.mark.parametrize("title", sorted(STATS))
def test_every_stat_can_be_shown(title: str) -> None:
    defaults: dict[str, Any] = STATS[title]
    for value in (0.0, 0.5, 1.0, 1e7):
        text, color = shown(value, defaults)
        assert text
        assert color in COLORS.values()
