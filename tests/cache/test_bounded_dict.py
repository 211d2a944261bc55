"""A bounded dictionary drops the entry that was not set or used for the longest time."""

from service.cache.bounded_dict import BoundedDict


def test_oldest_entry_is_dropped() -> None:
    kept = BoundedDict[str, int](2)
    kept["a"], kept["b"] = 1, 2
    kept["a"] = 3
    kept["c"] = 4
    assert dict(kept) == {"a": 3, "c": 4}
    kept.move_to_end("a")
    kept["d"] = 5
    assert dict(kept) == {"a": 3, "d": 5}
