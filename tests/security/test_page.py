"""The table of docs/security.md names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
ROWS = re.findall(r"^\| (\d+\.\d+\.\d+) [^|]*\| (\w+) \| ([^|]*)\|$", PAGE, re.MULTILINE)


def test_every_row_has_a_status_and_a_reason() -> None:
    assert len(ROWS) > 50
    assert {status for _, status, _ in ROWS} <= {"met", "operator", "open"}
    assert all(reason.strip() for _, _, reason in ROWS)
    assert len({number for number, _, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize("test", sorted(set(re.findall(r"`(tests/[^`]+::[^`]+)`", PAGE))))
def test_referenced_test_exists(test: str) -> None:
    path, _, name = test.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), test
