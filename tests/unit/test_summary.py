"""The summary of a run."""

from tests.summary import reasons_of


def test_skips_are_counted_by_reason_wherever_they_are() -> None:
    skips: list[object] = [
        ("tests/a.py", 1, "Skipped: no Docker"),
        ("tests/b.py", 2, "Skipped: no Docker"),
        ("tests/c.py", 3, "Skipped: no helm"),
        "a skip without a place",
    ]
    assert reasons_of(skips) == {"no Docker": 2, "no helm": 1}
